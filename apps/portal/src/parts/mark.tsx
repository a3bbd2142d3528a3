/** The product's mark: a cloister's arches. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" className="mark-ground" />
      <path className="mark-arch" d="M7 25V15a9 9 0 0 1 18 0v10M12 25v-9a4 4 0 0 1 8 0v9M5 25h22" />
    </svg>
  );
}
