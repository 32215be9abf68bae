# SPDX-License-Identifier: Apache-2.0
"""The plugins' manuals: their examples pass `fieldpost check`, and their options are those of the
plugin's tables. FIELDPOST_REWRITE=1 writes the options anew.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from fakes.field import BUILD, SOURCE  # noqa: E402  pylint: disable=wrong-import-position
from fakes.site import HEAD  # noqa: E402

OPTIONS = re.compile(r"(<!-- options.*?-->\n).*?(<!-- /options -->)", re.S)
# The files that examples read.
FILES = {"/srv/week.csv": "device,time,attribute,value\npump-7,2026-01-01T00:00:00Z,level,1\n",
         "/usr/local/lib/fieldpost/boiler.py": "#!/usr/bin/python3\n"}
EXAMPLE = re.compile(r"^```toml\n(.*?)^```", re.S | re.M)
KEY = re.compile(r"  (\w+): (.*?)(, required)?(?:, default (.*))?")


def fieldpost(*words):
    return subprocess.run([BUILD / "bin/fieldpost", *words], capture_output=True, text=True, check=False)


def options_of(plugin):
    """Markdown from what the help says: a table for each of the plugin's."""
    text = ""
    lines = fieldpost("plugins", "help", plugin).stdout.splitlines()
    in_table = False
    for line, after in zip(lines, lines[1:] + [""]):
        if line.startswith(("Options ", "Units ", "Rows ")):
            text += f"\n{line.rstrip(':')}\n\n| key | form | default | |\n|---|---|---|---|\n"
            in_table = True
        elif not line or not line.startswith(" "):
            in_table = False
        elif in_table and not line.startswith("    "):
            name, form, required, fallback = KEY.fullmatch(line).groups()
            cells = (f"`{name}`", form, "required" if required else f"`{fallback}`" if fallback else "", after.strip())
            text += "".join(f"| {cell} " if cell else "| " for cell in cells) + "|\n"
    return text + "\n"


class ReadmeTest(unittest.TestCase):
    def test_examples(self):
        manuals = sorted(SOURCE.glob("plugins/*/README.md"))
        self.assertGreater(len(manuals), 3)
        for manual in manuals:
            examples = EXAMPLE.findall(manual.read_text(encoding="utf-8"))
            self.assertTrue(examples, manual)
            for number, example in enumerate(examples):
                with self.subTest(manual=manual.parent.name, example=number), tempfile.TemporaryDirectory() as folder:
                    config = pathlib.Path(folder) / "fieldpost.toml"
                    for name, content in FILES.items():
                        file = pathlib.Path(folder) / pathlib.Path(name).name
                        file.write_text(content, encoding="utf-8")
                        file.chmod(0o755)
                        example = example.replace(name, str(file))
                    config.write_text(HEAD + example, encoding="utf-8")
                    done = fieldpost("check", config)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_options(self):
        marked = 0
        for manual in sorted(SOURCE.glob("plugins/*/README.md")):
            text = manual.read_text(encoding="utf-8")
            if not OPTIONS.search(text):
                continue
            marked += 1
            wanted = options_of(manual.parent.name)
            now = OPTIONS.sub(lambda found, w=wanted: found[1] + w + found[2], text)
            if "FIELDPOST_REWRITE" in os.environ:
                manual.write_text(now, encoding="utf-8")
            else:
                self.assertEqual(text, now, f"{manual}: FIELDPOST_REWRITE=1 makes it anew")
        self.assertGreater(marked, 0)


if __name__ == "__main__":
    unittest.main()
