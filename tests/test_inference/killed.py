"""Many predictions that are killed, at the cost of importing everything once.

    python -m tests.test_inference.killed < ORDERS

reads orders, one JSON object a line: the arguments of ``predict`` but for the model, and ``kill``: null, or after how
many files in the folder, and then how many seconds, the process is killed. It answers each with an exit code.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from mmseg.apis import init_model, predict

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = init_model(CONFIG, device='cpu')
    for line in sys.stdin:
        order = json.loads(line)
        kill, start = order.pop('kill'), time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                summary = predict(model, **order)
                os._exit(int(summary.failed > 0))
            except BaseException:
                traceback.print_exc()
                os._exit(3)
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            files = sum(len(names) for _, _, names in os.walk(order['out_dir']))
            if (kill and files >= kill[0]) or time.monotonic() - start > 120:
                time.sleep(kill[1] if kill else 0)
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == '__main__':
    main()
