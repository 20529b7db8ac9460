"""Build the compiled core in place and put the command `phx` beside this interpreter; quiet unless something fails."""

import compileall
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = f"""#!{sys.executable}
import sys

sys.path.insert(0, {str(ROOT)!r})
from phx.__main__ import main

sys.exit(main())
"""

done = subprocess.run(
    [sys.executable, "setup.py", "build_ext", "--inplace", "-j2"], cwd=ROOT, capture_output=True, text=True, check=False
)
if done.returncode:
    sys.stderr.write(done.stdout + done.stderr)
    sys.exit(done.returncode)

# Also where the environment forbids writing byte code (containers): without it every restart of a process compiles phx.
compileall.compile_dir(ROOT / "phx", quiet=2)
command = Path(sys.executable).with_name("phx")
command.write_text(COMMAND)
command.chmod(0o755)
