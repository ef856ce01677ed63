"""Plugins from outside: the examples, and objects that are wrong in one way each, compiled against the tree's headers."""
import os
import subprocess

from server import TOP

EXAMPLES = {"hello": "deploy/examples/plugin-hello/hello.c", "book": "deploy/examples/backend-hello/book.c"}
# A plugin that passes everything on, or ends with the rcode it was given and no reply.
PLAIN = r"""
#include "waypost/dns/types.h"
#include "waypost/plugin/module.h"
struct plain { int64_t rcode; };
static int serve(void *self, struct wp_query *q)
{
    const struct plain *p = self;
    return p->rcode < 0 ? WP_STEP_NEXT : p->rcode == 99 ? -EIO : wp_query_fail(q, (uint16_t)p->rcode, 0, NULL);
}
static const struct wp_option options[] = {
    {.name = "rcode", .kind = WP_OPT_INT, .offset = offsetof(struct plain, rcode), .def = "-1", .min = -1, .max = 99}, {0}};
__attribute__((unused)) static const struct wp_plugin plain = {.name = NAME, .size = sizeof(struct plain), .options = options, .serve = serve};
"""
EXPORT = "WP_PLUGIN_EXPORT(plain);"
BY_HAND = "__attribute__((visibility(\"default\"))) extern const struct wp_plugin_module wp_plugin_module; const struct wp_plugin_module wp_plugin_module = {%s};"


def compile_c(to, source, name="plain", flags=()):
    """source: a path of the tree, or text."""
    text = source if "\n" in source else f'#include "{os.path.join(TOP, source)}"\n'
    subprocess.run(["gcc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", "-D_GNU_SOURCE",
                    f"-I{TOP}/include", f'-DNAME="{name}"', "-x", "c", "-", "-o", str(to), *flags], input=text, text=True, check=True)
    os.chmod(to, 0o755)
    return str(to)


def plain(to, name="plain", wish=""):
    return compile_c(to, PLAIN + f"WP_PLUGIN_EXPORT(plain{', ' + wish if wish else ''});\n", name)


def wrong(folder):
    """Objects and other files that cannot be loaded: name -> what is told of them."""
    def by_hand(name, members):
        compile_c(folder / name, PLAIN + BY_HAND % members + "\n", name.removesuffix(".so"))

    size = "sizeof(struct wp_plugin)"
    by_hand("old.so", f'WP_PLUGIN_ABI + 6, {size}, "9.9", &plain, 0, 0')
    by_hand("small.so", f'WP_PLUGIN_ABI, {size} - 8, "0.1", &plain, 0, 0')
    by_hand("garbage.so", f'0xffffffff, {size}, (const char *)1, &plain, 0, 0')
    by_hand("empty.so", f'WP_PLUGIN_ABI, {size}, "0.1", 0, 0, 0')
    by_hand("nameless.so", f'WP_PLUGIN_ABI, {size}, "0.1", &(const struct wp_plugin){{.name = 0}}, 0, 0')
    compile_c(folder / "alien.so", "int other;\nint other = 1;\n")
    gone = "int wp_was_there_once(void);\nint call(void);\nint call(void) { return wp_was_there_once(); }\n"
    compile_c(folder / "gone.so", PLAIN + gone + "__attribute__((visibility(\"default\"))) int (*keep)(void) = call;\n" + EXPORT + "\n", "gone",
              ["-Wl,-z,lazy"])
    compile_c(folder / "oldgone.so", PLAIN + gone + "__attribute__((visibility(\"default\"))) int (*keep)(void) = call;\n"
              + BY_HAND % f'7, {size}, "9.9", &plain, 0, 0' + "\n", "oldgone", ["-Wl,-z,lazy"])
    (folder / "text.so").write_text("this is no object\n" * 100)
    (folder / "cut.so").write_bytes((folder / "old.so").read_bytes()[:32])
    (folder / "folder.so").mkdir()
    plain(folder / "open.so", "open")
    os.chmod(folder / "open.so", 0o777)
    return {
        "old": "was built for waypost 9.9, plugin ABI 7, ",
        "small": "build it again with the headers of this one",
        "garbage": "was built for waypost ?, plugin ABI 4294967295, ",
        "empty": "exports no plugin",
        "nameless": "exports no plugin",
        "alien": "is no plugin of waypost: it has no symbol 'wp_plugin_module' (WP_PLUGIN_EXPORT)",
        "gone": "undefined symbol: wp_was_there_once",
        "oldgone": "was built for waypost 9.9, plugin ABI 7, ",
        "text": "invalid ELF header",
        "cut": "file too short",
        "folder": "not a file",
        "open": "will not be loaded: everybody may write to it (mode 0777)",
        "absent": "no such file or directory",
    }
