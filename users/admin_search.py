"""Searching the admin by the ids that people copy from the API and the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest

from users.ids import PublicIdField

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:  # Django's own class takes no type arguments at run time
    _Admin = admin.ModelAdmin

_ID = re.compile(r"([a-z]+)_[0-9a-f]{32}")


class PublicIdSearch(_Admin):
    """A public id in the search box finds the row it names, or the rows that point to what it names."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = _ID.fullmatch(search_term.strip())
        if found is None:
            return super().get_search_results(request, queryset, search_term)
        for field in self.opts.fields:
            target = field.target_field if isinstance(field, ForeignKey) else field
            if isinstance(target, PublicIdField) and target.prefix == found[1]:
                return queryset.filter(**{field.attname: search_term.strip()}), False
        return queryset.none(), False
