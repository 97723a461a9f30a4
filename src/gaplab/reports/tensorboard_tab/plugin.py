"""The plugin that TensorBoard loads: it serves one script and the findings below its folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins.base_plugin import FrontendMetadata, TBContext, TBLoader, TBPlugin
from werkzeug import Request, Response

from gaplab.errors import ConfigError
from gaplab.reports.tensorboard_tab.folders import folder_below, names_below

PAGE = Path(__file__).with_name("page.js")


class GeneralizationPlugin(TBPlugin):
    """Shows verdict, curves and bounds of a run, and the table of a sweep by setting.

    Everything is read from run directories when it is asked for; nothing outside of the folder that
    TensorBoard shows is.
    """

    plugin_name = "generalization"

    def __init__(self, context: TBContext, root: Path | None = None) -> None:
        super().__init__(context)
        self.root = root or (Path(context.logdir) if context.logdir else None)

    @classmethod
    def loader(cls, root: Path) -> TBLoader:
        """Return what loads the plugin for runs below another folder than that of TensorBoard's charts."""

        class Loader(TBLoader):
            def load(self, context: TBContext) -> TBPlugin:
                return cls(context, root)

        return Loader()

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        return {
            "/page.js": self._page,
            "/names": self._answer(lambda root, name: names_below(root)),
            "/run": self._answer(lambda root, name: _findings().findings_of_run(folder_below(root, name))),
            "/sweep": self._answer(
                lambda root, name: _findings().findings_of_sweep(folder_below(root, name))
            ),
        }

    def is_active(self) -> bool:
        """Whether there is a run to show: runs write their state before anything else."""
        if self.root is None:
            return False
        return any(next(self.root.glob(f"{depth}run.json"), None) for depth in ("", "*/", "*/*/", "*/*/*/"))

    def frontend_metadata(self) -> FrontendMetadata:
        return FrontendMetadata(es_module_path="/page.js", tab_name="Generalization", disable_reload=True)

    def _page(self, environ: Any, start_response: Any) -> Any:
        answer = http_util.Respond(Request(environ), PAGE.read_text(), "application/javascript")
        return answer(environ, start_response)

    def _answer(self, find: Callable[[Path, str], dict[str, Any]]) -> Callable[..., Any]:
        def application(environ: Any, start_response: Any) -> Any:
            request = Request(environ)
            answer = self._respond(request, find)
            return answer(environ, start_response)

        return application

    def _respond(self, request: Request, find: Callable[[Path, str], dict[str, Any]]) -> Response:
        content, code = {}, 200
        try:
            if self.root is None:
                raise ConfigError(
                    "TensorBoard was started without --logdir: there is no folder to look into."
                )
            content = find(self.root, request.args.get("name", ""))
        except ConfigError as error:
            content, code = {"error": str(error)}, 404
        text = json.dumps(_finite(content), allow_nan=False)
        return http_util.Respond(request, text, "application/json", code=code)


def _findings() -> Any:
    """Return the module that reads runs: it needs torch, for which TensorBoard must not wait."""
    from gaplab.reports.tensorboard_tab import findings

    return findings


def _finite(value: Any) -> Any:
    """Return plain values with null in place of numbers that JSON does not have."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value
