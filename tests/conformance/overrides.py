"""What dbt's tests say of Postgres, said for this program. No check is left out or made weaker here.

`OVERRIDES` has the classes that are put before a class of the package and before those that inherit from it.
"""

import pytest
from dbt.tests.adapter.hooks.test_model_hooks import BaseTestPrePost
from dbt.tests.adapter.hooks.test_run_hooks import BasePrePostRunHooks
from dbt.tests.adapter.simple_snapshot import test_various_configs
from dbt.tests.adapter.simple_snapshot.test_various_configs import BaseSnapshotDbtValidToCurrent


class HookContext:
    """The tables that hooks write hold what the target is; dbt's check expects its Postgres server there.

    A target of this program has no such host, user and name of a database, and a type of its own. That is checked here;
    dbt's check then finds what it expects in their place, and looks at all the rest.
    """

    def get_ctx_vars(self, *args, **named):
        found = super().get_ctx_vars(*args, **named)
        for context in found if isinstance(found, list) else [found]:
            ours = {"target_dbname": "", "target_host": "", "target_user": "", "target_type": "alluvium"}
            assert {name: context[name] for name in ours} == ours
            context |= {"target_dbname": "dbt", "target_host": None, "target_user": "root", "target_type": "postgres"}
        return found


class RowsInOrder:
    """dbt's test looks at rows by their number and asks for no order: the one it means is first versions, then later ones."""

    @pytest.fixture(autouse=True)
    def in_order(self, monkeypatch):
        ask = test_various_configs.run_sql_with_adapter
        order = " order by row_number() over (partition by id order by test_updated_at), id"
        monkeypatch.setattr(test_various_configs, "run_sql_with_adapter", lambda adapter, sql, fetch: ask(adapter, sql + order, fetch))


OVERRIDES = {
    BaseTestPrePost: HookContext,
    BasePrePostRunHooks: HookContext,
    BaseSnapshotDbtValidToCurrent: RowsInOrder,
}
