export * from './hpke/index.ts';
