/** A port below those that systems give to outgoing connections, one of which might take it while a process is down. */
export function lowPort(): number {
  return 15_000 + Math.floor(Math.random() * 15_000);
}
