// The reference server of the tus project, for the differential test. Prints its port.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const server = new Server({
  path: "/api/v1/uploads",
  datastore: new FileStore({ directory: process.argv[2], expirationPeriodInMilliseconds: 7 * 24 * 3600 * 1000 }),
  relativeLocation: true,
  respectForwardedHeaders: false,
});
const listening = server.listen({ host: "127.0.0.1", port: 0 }, () => {
  process.stdout.write(`${listening.address().port}\n`);
});
