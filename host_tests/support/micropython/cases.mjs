// Runs the cases of one module under MicroPython's build for JavaScript, which has no littlefs, no
// sockets and no processes: `node cases.mjs MICROPYTHON_MJS REPO MODULE LEFT_OUT...`. See pythons.py.
//
// Its file system is in memory, so the sources are copied into it. What fails is printed with its
// traceback, the last line counts, and the exit code is 1 unless each case passed.

import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [build, repo, name, ...leftOut] = process.argv.slice(2);
const FOLDERS = ["host_tests/both", "host_tests/support", "firmware", "lib"];
// Its binascii is written in Python, takes no str, and raises a bare Exception.
const CASES = `
import binascii, gc, sys
decode = binascii.a2b_base64
def a2b_base64(data):
    try:
        return decode(data.encode() if isinstance(data, str) else data)
    except Exception as error:
        raise ValueError(str(error))
binascii.a2b_base64 = a2b_base64
sys.path[:0] = ["/host_tests", "/firmware", "/lib"]
import ${name} as module
passed = failed = skipped = 0
for case in dir(module):
    if case in ${JSON.stringify(leftOut)}:
        skipped += 1
    elif case.startswith("case_"):
        gc.collect()
        try:
            getattr(module, case)()
            passed += 1
        except BaseException as error:
            failed += 1
            print(case, "failed")
            sys.print_exception(error)
print(passed, "passed", failed, "failed", skipped, "skipped")
`;

function copy(fs, from, to) {
    fs.mkdir(to);
    for (const entry of readdirSync(from, { withFileTypes: true })) {
        const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
        if (entry.isDirectory()) {
            copy(fs, source, target);
        } else if (entry.name.endsWith(".py")) {
            fs.writeFile(target, readFileSync(source));
        }
    }
}

const { loadMicroPython } = await import(pathToFileURL(resolve(build)));
const micropython = await loadMicroPython({ heapsize: 1024 * 1024 });
micropython.FS.mkdir("/host_tests");
for (const folder of FOLDERS) {
    copy(micropython.FS, `${repo}/${folder}`, `/${folder}`);
}
micropython.runPython(CASES);
const { globals } = micropython;
process.exitCode = globals.get("passed") && !globals.get("failed") ? 0 : 1;
