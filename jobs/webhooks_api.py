"""Endpoints of webhooks."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import selectors, services
from jobs.webhooks_serializers import (
    WebhookCreateSerializer,
    WebhookDeliverySerializer,
    WebhookSerializer,
    WebhookUpdateSerializer,
    WebhookWithSecretSerializer,
)
from problems import Problem
from users.viewer import viewer_of

# No cache keeps such an answer, and neither does the store of replies to repeated requests.
_SECRET = {"Cache-Control": "no-store"}


class WebhooksView(generics.ListAPIView[Webhook]):
    queryset = Webhook.objects.none()  # for the schema; each viewer has another one
    serializer_class = WebhookSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Webhook]:
        return selectors.webhooks_for(viewer_of(self.request))

    @extend_schema(operation_id="list_webhooks")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Your webhooks, newest first; for staff those of the whole site too."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_webhook",
        request=WebhookCreateSerializer,
        responses={201: WebhookWithSecretSerializer},
    )
    def post(self, request: Request) -> Response:
        """Name an address to be told of events. The secret is in this answer and nowhere else."""
        wish = _body(WebhookCreateSerializer, request)
        made = services.webhook_create(viewer=viewer_of(request), **wish)
        data = WebhookWithSecretSerializer(made).data
        return Response(data, status=status.HTTP_201_CREATED, headers=_SECRET)


class WebhookView(APIView):
    @extend_schema(operation_id="get_webhook", responses=WebhookSerializer)
    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(WebhookSerializer(_webhook(request, webhook_id)).data)

    @extend_schema(
        operation_id="update_webhook", request=WebhookUpdateSerializer, responses=WebhookSerializer
    )
    def patch(self, request: Request, webhook_id: str) -> Response:
        """Change what is given; `enabled` switches it on and off."""
        webhook, wish = _webhook(request, webhook_id), _body(WebhookUpdateSerializer, request)
        changed = services.webhook_update(viewer=viewer_of(request), webhook=webhook, **wish)
        return Response(WebhookSerializer(changed).data)

    @extend_schema(operation_id="delete_webhook", responses={204: OpenApiResponse(description="Done.")})
    def delete(self, request: Request, webhook_id: str) -> Response:
        """Remove it with its log. What waits is not sent any more."""
        services.webhook_delete(webhook=_webhook(request, webhook_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookRotateView(APIView):
    @extend_schema(operation_id="rotate_webhook", request=None, responses=WebhookWithSecretSerializer)
    def post(self, request: Request, webhook_id: str) -> Response:
        """Make a new secret. For 24 hours messages are signed with the former one too."""
        changed = services.webhook_rotate(webhook=_webhook(request, webhook_id))
        return Response(WebhookWithSecretSerializer(changed).data, headers=_SECRET)


class WebhookTestView(APIView):
    @extend_schema(operation_id="test_webhook", request=None, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request, webhook_id: str) -> Response:
        """Send `webhook.ping`. Look at its delivery to see how it went."""
        delivery = services.webhook_ping(webhook=_webhook(request, webhook_id))
        return Response(WebhookDeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)


class DeliveriesView(generics.ListAPIView[WebhookDelivery]):
    queryset = WebhookDelivery.objects.none()
    serializer_class = WebhookDeliverySerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        return selectors.deliveries_of(_webhook(self.request, self.kwargs["webhook_id"]))

    @extend_schema(operation_id="list_webhook_deliveries")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What was and will be sent, newest first. It is kept for 30 days."""
        return super().get(request, *args, **kwargs)


class RedeliverView(APIView):
    @extend_schema(operation_id="redeliver_webhook", request=None, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        """Send an event again, with the same id."""
        webhook = _webhook(request, webhook_id)
        delivery = services.delivery_resend(delivery=selectors.delivery_get_of(webhook, delivery_id))
        return Response(WebhookDeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)


def _webhook(request: Request, webhook_id: str) -> Webhook:
    return selectors.webhook_get_for(viewer_of(request), webhook_id)


def _body(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Problem("malformed_body", reason="a JSON object is expected")
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    wish: dict[str, Any] = body.validated_data
    return wish
