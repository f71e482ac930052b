import { makeActingRoles } from "../database/acting-roles.js";
import type { Command } from "./command.js";

export const rolesCommand: Command = {
  name: "roles",
  about: "make the roles that the service acts in, before a dump is restored into an empty database",
  options: {},
  async run(_options, context) {
    const roles = await makeActingRoles(await context.openDatabase());
    return { text: `The login acts as ${roles.join(", ")}.`, json: { roles } };
  },
};
