from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_trace")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="error_fix",
            field=models.JSONField(
                blank=True, help_text="engine.fixes.Fix: what to ask for instead", null=True
            ),
        ),
    ]
