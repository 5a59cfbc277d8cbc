from __future__ import annotations

from typing import ClassVar

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Func, Q, Value

_SEQUENCE = """
    CREATE SEQUENCE jobs_step_rank_seq AS bigint INCREMENT BY 1073741824 MINVALUE 1 OWNED BY jobs_step.rank
"""

# Steps that have not ended keep their order, and those to come stand behind them.
_LIVE = """
    UPDATE jobs_step s SET rank = s.place * 1048576, type = j.type,
        run_after = CASE WHEN s.status IN ('queued', 'paused') THEN j.run_after END
    FROM jobs_job j WHERE j.id = s.job_id AND j.finished_at IS NULL;
    SELECT setval('jobs_step_rank_seq', GREATEST(1, (SELECT max(rank) FROM jobs_step) + 1073741824));
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("jobs", "0010_history_days"),
        ("users", "0003_account_notes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Limit",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("type", models.CharField(blank=True, help_text="Only jobs of this operation. Empty: of any.", max_length=32, verbose_name="operation")),
                ("at_once", models.PositiveSmallIntegerField(blank=True, help_text="Jobs of all accounts together. Empty: no limit.", null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name="at once on the whole site")),
                ("per_user", models.PositiveSmallIntegerField(blank=True, help_text="It never grants more than the account's own limit. Empty: no limit.", null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name="at once for each user")),
                ("tier", models.ForeignKey(blank=True, db_index=False, help_text="Only jobs of accounts of this tier. Empty: of all.", null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="users.tier")),
            ],
            options={
                "verbose_name": "limit of jobs at once",
                "verbose_name_plural": "limits of jobs at once",
                "constraints": [
                    models.UniqueConstraint(fields=("tier", "type"), name="limit_once", nulls_distinct=False, violation_error_message="There is a limit for this tier and operation already."),
                    models.CheckConstraint(condition=Q(Q(("at_once", None), ("at_once__gte", 1), _connector="OR"), Q(("per_user", None), ("per_user__gte", 1), _connector="OR"), Q(("at_once", None), ("per_user", None), _negated=True)), name="limit_limits", violation_error_message="Give a limit for the whole site, for each user, or both."),
                ],
            },
        ),
        migrations.CreateModel(
            name="Turn",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("lane", models.CharField(max_length=8)),
                ("priority", models.PositiveSmallIntegerField(choices=[(0, "high"), (5, "normal"), (9, "low")])),
                ("served_at", models.DateTimeField()),
                ("owner", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("owner", "lane", "priority"), name="turn_once")],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("owner", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="+", serialize=False, to=settings.AUTH_USER_MODEL)),
                ("cpu_seconds", models.FloatField()),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=Q(("cpu_seconds__gte", 0)), name="usage_not_negative")],
            },
        ),
        migrations.AddField(
            model_name="sitesettings",
            name="low_from",
            field=models.TimeField(blank=True, help_text="Outside these hours no encode of low priority starts. Empty: at any time.", null=True, verbose_name="low priority runs from"),
        ),
        migrations.AddField(
            model_name="sitesettings",
            name="low_until",
            field=models.TimeField(blank=True, help_text="May be past midnight.", null=True, verbose_name="until"),
        ),
        migrations.AddField(
            model_name="sitesettings",
            name="time_zone",
            field=models.CharField(db_default="UTC", default="UTC", help_text="Of the hours above, such as Europe/Berlin.", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="sitesettings",
            constraint=models.CheckConstraint(condition=Q(Q(("low_from", None), ("low_until", None)), Q(("low_from__isnull", False), ("low_until__isnull", False), Q(("low_from", F("low_until")), _negated=True)), _connector="OR"), name="site_hours_begin_and_end", violation_error_message="Give a beginning and another end, or neither."),
        ),
        migrations.AlterField(
            model_name="job",
            name="run_after",
            field=models.DateTimeField(blank=True, help_text="When the first of its steps is tried again", null=True),
        ),
        migrations.AddField(
            model_name="step",
            name="type",
            field=models.CharField(blank=True, db_default="", default="", help_text="The job's, for the claim's index", max_length=32),
        ),
        migrations.AddField(
            model_name="step",
            name="threads",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Of the processor, as its last claim granted them"),
        ),
        migrations.AddField(
            model_name="step",
            name="run_after",
            field=models.DateTimeField(blank=True, help_text="Not tried again before this time", null=True),
        ),
        # With a constant first: so the history is not written anew.
        migrations.AddField(
            model_name="step",
            name="rank",
            field=models.BigIntegerField(db_default=0, editable=False),
        ),
        migrations.RunSQL(_SEQUENCE, "DROP SEQUENCE jobs_step_rank_seq"),
        migrations.RunSQL(_LIVE, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="step",
            name="rank",
            field=models.BigIntegerField(db_default=Func(Value("jobs_step_rank_seq"), function="nextval", output_field=models.BigIntegerField()), editable=False),
        ),
        migrations.RemoveIndex(model_name="step", name="step_claimable"),
        migrations.RemoveIndex(model_name="step", name="step_intake_claimable"),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(condition=Q(("status", "queued")), fields=["lane", "owner", "priority", "type", "rank", "place"], name="step_claimable"),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(condition=Q(("status", "queued")), fields=["owner", "lane", "priority", "rank", "place"], name="step_own_order"),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(condition=Q(("status", "queued")), fields=["lane", "owner", "priority", "place"], name="step_eldest"),
        ),
    ]  # fmt: skip
