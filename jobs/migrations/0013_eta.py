import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0012_longer_rollups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pace",
            fields=[
                ("key", models.CharField(max_length=160, primary_key=True, serialize=False)),
                ("wall", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                ("cpu", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                ("tail", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
            ],
        ),
        migrations.AlterField(
            model_name="job",
            name="eta_seconds",
            field=models.FloatField(blank=True, help_text="Left to its end, as of eta_at", null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="eta_low",
            field=models.FloatField(
                editable=False, help_text="It probably takes at least so long", null=True
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="eta_high",
            field=models.FloatField(editable=False, help_text="It probably takes no longer", null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="eta_at",
            field=models.DateTimeField(editable=False, help_text="When its worker said so", null=True),
        ),
        migrations.AddField(
            model_name="step",
            name="cost_key",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=160),
        ),
        migrations.AddField(
            model_name="step",
            name="work",
            field=models.FloatField(db_default=0, default=0, editable=False),
        ),
    ]
