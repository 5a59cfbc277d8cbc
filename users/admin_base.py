"""What the admin's lists and pages have in common.

Lists are made for tables of millions of rows. Nothing is counted: a page begins before or after a row
(keyset), in the order of one indexed column, and the one row too many tells whether another page follows. The
search box finds public ids first. Filters by address are those that are offered: an index serves each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from problems import Problem
from users.ids import PublicIdField

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:  # Django's own class takes no type arguments at run time
    _Admin = admin.ModelAdmin

_ID = re.compile(r"([a-z]+)_[0-9a-f]{32}")
BEFORE, AFTER = "before", "after"
_ANY_KEY = "0any0key0"
ACTION_MAX = 500
# Rows that one page of a list looks through where only some of them are wanted.
SCAN = 2000


class KeysetChangeList(ChangeList):
    """A page of a list without a count. `newer` and `older` are the query strings of its neighbours."""

    keyset = True
    model_admin: ListAdmin

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The address of every row takes the filters along. Django would find out for each of them what view
        # its address belongs to, to be sure that it is not this list.
        self._suffix = f"?{self.preserved_filters}" if self.preserved_filters else ""
        self.preserved_filters = ""
        self._address = super().url_for_result(self.model(pk=_ANY_KEY))

    def url_for_result(self, result: Model) -> str:
        return self._address.replace(_ANY_KEY, str(quote(result.pk))) + self._suffix

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_ordering(self, _request: HttpRequest, _rows: QuerySet[Any]) -> list[Any]:
        # Whatever the address asks for: no index serves another order.
        return [f"-{self._field}"]

    def get_results(self, request: HttpRequest) -> None:
        keep = self.model_admin.rows_kept(request)
        window = self.list_per_page if keep is None else SCAN
        before, after = (self._bound(request.GET.get(name)) for name in (BEFORE, AFTER))
        rows = self.queryset
        if after is not None:
            upwards = rows.filter(**{f"{self._field}__gt": after}).order_by(self._field)
            found = list(upwards[: window + 1])
            has_newer, has_older = len(found) > window, True
            found = found[:window][::-1]
        else:
            if before is not None:
                rows = rows.filter(**{f"{self._field}__lt": before})
            found = list(rows[: window + 1])
            has_newer, has_older = before is not None, len(found) > window
            found = found[:window]
        kept = found if keep is None else keep(found)
        if len(kept) > self.list_per_page:
            # The page is full before the window ends: the next one goes on from here.
            kept, has_older = kept[: self.list_per_page], True
            found = found[: found.index(kept[-1]) + 1]
        self.newer = self._page(AFTER, found[0]) if found and has_newer else None
        self.older = self._page(BEFORE, found[-1]) if found and has_older else None
        self.newest = self.get_query_string() if before is not None or after is not None else None
        self.looked_through = None if keep is None else len(found)
        self.result_list: Any = kept
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True
        self.paginator = Paginator(self.result_list, max(1, self.result_count))

    @property
    def _field(self) -> str:
        return str(self.model_admin.keyset_field or self.lookup_opts.pk.name)

    def _bound(self, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return self.lookup_opts.get_field(self._field).to_python(value)  # type: ignore[union-attr]  # a column
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error

    def _page(self, direction: str, row: Model) -> str:
        return self.get_query_string({direction: getattr(row, self._field)})


class ListAdmin(_Admin):
    """The admin of a table that may be large. Subclasses offer filters and searches that indexes serve."""

    # The unique, indexed column by which the list is ordered, newest first; empty: the primary key.
    keyset_field = ""
    # Columns too wide for a list.
    list_defer: ClassVar[tuple[str, ...]] = ()
    # Exact filters that links use and no side bar shows.
    address_filters: ClassVar[tuple[str, ...]] = ()
    change_form_template = "admin/row_page.html"
    # Django takes more than a millisecond to draw a row.
    list_per_page = 20
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by: ClassVar[tuple[str, ...]] = ()

    @admin.display(description=SafeString('<input type="checkbox" id="action-toggle">'))
    def action_checkbox(self, obj: Model) -> SafeString:
        """As Django's, without a template for each row."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" '
            'aria-label="Select this object for an action - {}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            obj,
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        in_list = match is not None and (match.url_name or "").endswith("_changelist")
        return rows.defer(*self.list_defer) if in_list and self.list_defer else rows

    def rows_kept(self, _request: HttpRequest) -> Callable[[Sequence[Any]], list[Any]] | None:
        """Which rows of a page are shown where no query can tell; None: all of them."""
        return None

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only what is offered: any other look-up could read the whole table."""
        if lookup in self.address_filters:
            return True
        for offered in self.list_filter:
            name = offered[0] if isinstance(offered, tuple) else getattr(offered, "parameter_name", offered)
            if lookup == name or lookup.startswith(f"{name}__"):
                return True
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A public id finds the row it names, or the rows that point to what it names."""
        term = search_term.strip().replace("\x00", "")
        found = _ID.fullmatch(term)
        if found is None:
            return (self.search(queryset, term) if term else queryset), False
        for field in self.opts.fields:
            target = field.target_field if isinstance(field, ForeignKey) else field
            if isinstance(target, PublicIdField) and target.prefix == found[1]:
                return queryset.filter(**{field.attname: term}), False
        return queryset.none(), False

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows that a text which is no id finds."""
        found, _ = super().get_search_results(None, rows, term)  # type: ignore[arg-type]  # it is not looked at
        return found

    # ------------------------------------------------------------------------------------- actions

    def each(
        self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], object], *, done: str, note: str
    ) -> None:
        """Does `act` to each of the rows, notes it in the log of the admin, and says what was skipped."""
        skipped: Counter[str] = Counter()
        count = 0
        for row in rows[:ACTION_MAX]:
            try:
                act(row)
            except Problem as problem:
                skipped[problem.detail] += 1
                continue
            self.log_change(request, row, note)
            count += 1
        words = self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural
        if count:
            self.message_user(request, f"{count} {words} {'was' if count == 1 else 'were'} {done}.")
        for reason, times in skipped.items():
            self.message_user(request, f"{times} skipped: {reason}", messages.WARNING)

    def row_actions(self, _request: HttpRequest, _row: Any) -> Sequence[str]:
        """Names of the actions that the page of a row offers."""
        return ()

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        offered = dict(self.get_action_choices(request, default_choices=[]))
        buttons = [
            (name, re.sub(r"selected \w+", f"this {self.opts.verbose_name}", offered[name]))
            for name in (() if row is None else self.row_actions(request, row))
            if name in offered
        ]
        context = {
            "row_buttons": buttons,
            "row_form": self.action_form(auto_id=None),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override]  # it does return None
        try:
            response = super().response_action(request, queryset)
        except ValidationError:
            self.message_user(request, "There is no such row.", messages.ERROR)
            response = None
        row = request.POST.get("_page_of")
        if row and (response is None or isinstance(response, HttpResponseRedirect)):
            place = f"admin:{self.opts.app_label}_{self.opts.model_name}"
            if self.get_object(request, row) is None:  # the action has removed it
                return HttpResponseRedirect(reverse(f"{place}_changelist"))
            return HttpResponseRedirect(reverse(f"{place}_change", args=[quote(row)]))
        return response


class ReadOnly:
    """Rows that are made and changed by the machinery alone."""

    def has_add_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False
