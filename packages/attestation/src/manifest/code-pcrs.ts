/**
 * The registers of a vTPM into which code is measured that runs in the guest, or what decides which
 * code that is. An identity names them all (design 2.1, rule 3), for each has a value in every guest:
 * one that is never extended stays zero, and stays so only where nothing came in that way.
 *
 * | PCR | what is measured |
 * | --- | --- |
 * | 0 | firmware |
 * | 2 | drivers that firmware loads |
 * | 4 | boot loaders, or the unified kernel image |
 * | 7 | whether Secure Boot is on, and its keys |
 * | 8 | commands of the boot loader and the kernel's command line (GRUB); init data of a pod |
 * | 9 | files that the boot loader reads, and the initrd |
 * | 11 | the parts of a unified kernel image, and how far the boot has come (systemd) |
 * | 12 | command lines, credentials and add-ons from beside the image (systemd) |
 * | 13 | system extensions (systemd) |
 */
export const CODE_PCRS: readonly string[] = ['0', '2', '4', '7', '8', '9', '11', '12', '13'];

/** The others: configuration, logs, what a guest may reset. They may narrow an identity. */
export const OTHER_PCRS: readonly string[] = Array.from({ length: 24 }, (_, i) => `${i}`).filter(
  (index) => !CODE_PCRS.includes(index),
);
