/** Starts what all tests of the run share. */
export default async function globalSetup(): Promise<void> {
  // A run within a run, on the outer one's server. It loads nothing of the service here, which takes 0.8 s.
  if (process.env["ATLAS_TEST_URL"] !== undefined) return;
  const { startTestServer } = await import("./test-server.ts");
  await startTestServer();
}
