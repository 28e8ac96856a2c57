// Installs, generates and builds what changed: node scripts/build.mjs

import { prepare } from "./lib/prepare.mjs";
import { main } from "./lib/progress.mjs";
import { checkNode } from "./lib/project.mjs";

checkNode();
main(() => prepare());
