"""A server that answers as the hub does for one repository."""

import hashlib
import json
from contextlib import contextmanager

from huggingface_hub import constants

from ..file_server import FileServer, serve

COMMIT = '0123456789abcdef0123456789abcdef01234567'


class Hub(FileServer):
    """Files of a repository by name: ``hub.put(name, content)``."""

    def __init__(self, repository: str) -> None:
        super().__init__()
        self.repository = repository
        self.commit = COMMIT
        self._list()

    def put(self, name: str, content: bytes) -> None:
        for revision in ('main', self.commit):
            self.files[f'/{self.repository}/resolve/{revision}/{name}'] = content
        self._list()

    def downloads(self, name: str) -> list[str | None]:
        """The ranges in which a file was asked for."""
        return self.bodies(f'/{self.repository}/resolve/main/{name}') + self.bodies(
            f'/{self.repository}/resolve/{self.commit}/{name}'
        )

    def breaks(self, path: str) -> bool:
        return '/resolve/' in path

    def _list(self) -> None:
        start = f'/{self.repository}/resolve/main/'
        listed = [{'rfilename': path.removeprefix(start)} for path in self.files if path.startswith(start)]
        facts = {'id': self.repository, 'sha': self.commit, 'siblings': listed}
        self.files[f'/api/models/{self.repository}'] = json.dumps(facts).encode()

    def headers(self, path: str) -> dict[str, str]:
        if '/resolve/' not in path:
            return {'Content-Type': 'application/json'} if path in self.files else {'X-Error-Code': 'RepoNotFound'}
        if path not in self.files:
            return {'X-Error-Code': 'EntryNotFound'}
        content = self.files[path]
        digest = hashlib.sha256(content).hexdigest()
        return {'ETag': f'"{digest}"', 'X-Repo-Commit': self.commit, 'Accept-Ranges': 'bytes'}


@contextmanager
def hub_at(monkeypatch, cache, repository: str):
    """The hub's client asks a server of ours while the block runs."""
    with serve(Hub(repository)) as hub:
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        monkeypatch.setattr(constants, 'ENDPOINT', hub.url)
        template = hub.url + '/{repo_id}/resolve/{revision}/{filename}'
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
        monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(cache))
        monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
        monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 10000)  # it resumes at whole ones
        yield hub
