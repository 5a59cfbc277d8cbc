"""Who may see other people's accounts through the API."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from users.models import User


class ViewUsersPermission(BasePermission):
    """For staff whom an administrator has given the right to see accounts."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return isinstance(user, User) and user.is_staff and user.has_perm("users.view_user")


# Beside what holds for every endpoint.
SEES_USERS = (*APIView.permission_classes, ViewUsersPermission)
