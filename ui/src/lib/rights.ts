// What a session may do, by its role; the server decides, this only leaves out what would be refused.

/** Whether it may silence, acknowledge and run probes. */
export function mayOperate(role: string): boolean {
  return role === "operator" || role === "admin";
}
