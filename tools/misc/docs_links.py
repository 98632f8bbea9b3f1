"""Used by mkdocs: the site has the pages of docs/ only, so links to other files become their names."""

import re

OUTSIDE = re.compile(r'\[([^\]]+)\]\((?:\.\./)+([^)]*)\)')


def on_page_markdown(markdown, page, **_):
    """Called with the text of each page; returns the text that is rendered."""
    return OUTSIDE.sub(
        lambda link: f'`{link[2]}`' if link[1].strip('`') in link[2] else f'{link[1]} (`{link[2]}`)', markdown
    )
