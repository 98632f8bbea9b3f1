"""Pages in a headless Chromium, driven through its DevTools protocol over a pair of pipes."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('chromium-browser')
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: install it, or set CHROMIUM to its file')
CODES = dict(Escape=27, ArrowLeft=37, ArrowUp=38, ArrowRight=39, ArrowDown=40)
TIMEOUT = 60  # seconds, for machines that are busy


class Chromium:
    """A browser with one page.

    Attributes:
        errors: what pages said that is wrong: exceptions, console errors, files that did not load.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._number = 0
        self._pending = b''
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._to = os.pipe()
        self._from, out = os.pipe()
        options = '--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars'
        # The browser reads commands on descriptor 3 and answers on 4.
        words = f'exec "$0" {options} --remote-debugging-pipe --user-data-dir="$1" about:blank 3<&{theirs} 4>&{out}'
        command = ['bash', '-c', words, CHROMIUM, self._profile.name]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(out)
        self._session = None
        target = next(t for t in self._ask('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        self._session = self._ask('Target.attachToTarget', targetId=target['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self._ask(f'{domain}.enable')

    def open(self, file: Path | str, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """Show a file, or an address, at this size; gives the seconds until it was loaded."""
        address = file if isinstance(file, str) else file.resolve().as_uri()
        self._ask('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = dict(name='prefers-color-scheme', value='dark' if dark else 'light')
        self._ask('Emulation.setEmulatedMedia', features=[scheme])
        start = time.perf_counter()
        if error := self._ask('Page.navigate', url=address).get('errorText'):
            raise RuntimeError(f'{file}: {error}')
        self.wait('document.readyState === "complete" && location.protocol !== "about:"')
        return time.perf_counter() - start

    def run(self, script: str):
        """The value of JavaScript in the page; of a promise, what it comes to."""
        answer = self._ask('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{script}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def texts(self, selector: str) -> list[str]:
        return self.run(f'[...document.querySelectorAll({json.dumps(selector)})].map((found) => found.textContent)')

    def click(self, selector: str) -> None:
        self.run(f'document.querySelector({json.dumps(selector)}).click()')

    def key(self, name: str) -> None:
        """Press a key where the focus is."""
        for kind in ('keyDown', 'keyUp'):
            self._ask('Input.dispatchKeyEvent', type=kind, key=name, windowsVirtualKeyCode=CODES.get(name, 0))

    def wait(self, condition: str) -> None:
        """Until JavaScript is true."""
        end = time.monotonic() + TIMEOUT
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def screenshot(self, file: Path, whole: bool = False) -> None:
        data = self._ask('Page.captureScreenshot', format='png', captureBeyondViewport=whole)['data']
        Path(file).write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT)
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def _ask(self, method: str, **parameters) -> dict:
        self._number += 1
        message = dict(id=self._number, method=method, params=parameters)
        if self._session:
            message['sessionId'] = self._session
        os.write(self._to, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']
            self._note(answer)

    def _receive(self) -> dict:
        while b'\0' not in self._pending:
            if not select.select([self._from], [], [], TIMEOUT)[0]:
                raise TimeoutError('Chromium does not answer')
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError('Chromium ended')
            self._pending += part
        message, self._pending = self._pending.split(b'\0', 1)
        return json.loads(message)

    def _note(self, event: dict) -> None:
        method, about = event.get('method'), event.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.errors.append(str(about['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and about['type'] in ('error', 'warning', 'assert'):
            self.errors.append(str(about['args']))
        elif method == 'Log.entryAdded' and about['entry']['level'] in ('error', 'warning'):
            self.errors.append(str(about['entry']))


@pytest.fixture(scope='module')
def chromium():
    """A browser for the tests of a file; each must leave ``errors`` empty."""
    browser = Chromium()
    yield browser
    browser.close()
