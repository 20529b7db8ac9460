"""Build the compiled core in place, quietly; print the compiler's words only when it fails."""

import subprocess
import sys

done = subprocess.run(
    [sys.executable, "setup.py", "build_ext", "--inplace", "-j2"], capture_output=True, text=True, check=False
)
if done.returncode:
    sys.stderr.write(done.stdout + done.stderr)
    sys.exit(done.returncode)
