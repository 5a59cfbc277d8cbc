"""The order of the queue as SQL: who goes first in a lane, and which step of theirs.

Owners are compared by their *classes*: all that one owner has waiting in a lane at one priority. Classes are
found by hops through an index and sorted by figures that cost a look-up each; whether one of its steps may
really start is only asked of one class after the other until the first that has one. So a claim costs the
same however many steps an owner has waiting. docs/jobs.md has the order in words.
"""

from __future__ import annotations

from engine.segments import SEGMENT, SOUND
from users.models import Priority

# A class rises by one point of priority for each so many seconds without a turn.
AGEING_SECONDS = 600
# Half of what was used is forgotten in this time.
HALF_LIFE_SECONDS = 3600

# Scalar subqueries in what follows, on purpose: PostgreSQL cannot turn them into joins, so it begins with the
# few rows in hand and never with all paused jobs, or all jobs of a video.

# Whether the job of the step `s` waits or runs, its next try is due, its video is not in the trash and the
# steps it needs are done.
_READY = """
    (s.run_after IS NULL OR s.run_after <= statement_timestamp())
    AND (SELECT j.status IN ('queued', 'active')
            AND (SELECT v.deleted_at IS NULL FROM videos_video v WHERE v.id = j.video_id)
        FROM jobs_job j WHERE j.id = s.job_id)
    AND (s.needs = '{}' OR (
        SELECT bool_and(n.status = 'done') FROM jobs_step n
        WHERE n.job_id = s.job_id AND n.position = ANY(s.needs)))
"""

# Whether administrators let anything start in the lane, and encodes of low priority at this hour.
_SITE = """
    SELECT NOT COALESCE(bool_or(c.drained
            OR CASE %(lane)s WHEN 'short' THEN c.drained_short ELSE c.drained_encode END), false) AS is_open,
        COALESCE(bool_and(CASE
            WHEN c.low_from IS NULL OR %(lane)s <> 'encode' THEN true
            WHEN c.low_from < c.low_until THEN clock.time >= c.low_from AND clock.time < c.low_until
            ELSE clock.time >= c.low_from OR clock.time < c.low_until END), true) AS low_runs
    FROM jobs_sitesettings c
    CROSS JOIN LATERAL (SELECT (statement_timestamp() AT TIME ZONE c.time_zone)::time AS time) clock
"""

# Steps in the hands of workers, whatever lane.
_HELD = """
    SELECT s.owner_id, s.job_id, s.type, s.threads, s.started_at, s.lane, s.worker, s.lease_until,
        (SELECT r.status FROM jobs_job r WHERE r.id = s.job_id) AS job_status
    FROM jobs_step s WHERE s.status = 'active'
"""

# Jobs that count against limits. A paused job does as long as a worker holds it still: it takes a place and
# memory there, and whoever could pause it out of the cap could fill every worker. Inspections of uploads do
# not.
_RUNNING = """
    SELECT r.id, r.owner_id, r.type FROM jobs_job r WHERE r.status = 'active' AND r.type <> 'intake'
    UNION
    SELECT h.job_id, h.owner_id, h.type FROM held h WHERE h.job_status = 'paused'
"""

# What the encodes on this machine have left of its processor and its places; null where nobody says how much
# there is. What stands still uses nothing, and workers that are `gone` hold rows until their leases run out.
_FREE = """
    SELECT %(cores)s::int - COALESCE(sum(GREATEST(h.threads, 1)), 0)::int AS cores,
        %(slots)s::int - count(*)::int AS slots, count(*)::int AS encodes
    FROM held h
    WHERE h.lane = 'encode' AND starts_with(h.worker, %(machine)s) AND h.job_status <> 'paused'
      AND h.lease_until > statement_timestamp() AND h.worker <> ALL(%(gone)s)
"""

# What an owner's running steps are using up; it counts before they end.
_LOAD = """
    SELECT h.owner_id, count(*) AS steps,
        sum(extract(epoch FROM statement_timestamp() - h.started_at) * GREATEST(h.threads, 1)) AS cpu_seconds
    FROM held h GROUP BY h.owner_id
"""

_WAITS = "s.lane = %(lane)s AND s.status = 'queued'"
# The types of everything that waits, by owner and priority: each hop is one look into the index.
_WAITING = f"""
    (SELECT s.owner_id, s.priority, s.type FROM jobs_step s
     WHERE {_WAITS} {{limited_to}}
     ORDER BY s.owner_id, s.priority, s.type LIMIT 1)
    UNION ALL
    SELECT hop.owner_id, hop.priority, hop.type FROM waiting w CROSS JOIN LATERAL (
        SELECT s.owner_id, s.priority, s.type FROM jobs_step s
        WHERE {_WAITS} AND (s.owner_id, s.priority, s.type) > (w.owner_id, w.priority, w.type) {{limited_to}}
        ORDER BY s.owner_id, s.priority, s.type LIMIT 1
    ) hop
"""  # noqa: S608 - composed of constants

# `level` is the priority less a point for each so many seconds without a turn, counted from when the oldest
# of them was asked for, or the last one claimed. `used` is in whole CPU seconds.
_CLASSES = f"""
    SELECT w.owner_id, w.priority, w.types, since.served_at, since.queued_at, COALESCE(l.steps, 0) AS steps,
        w.priority - floor(extract(epoch FROM statement_timestamp()
            - GREATEST(since.served_at, since.queued_at)) / {AGEING_SECONDS}) AS level,
        floor(COALESCE(u.cpu_seconds * power(0.5::float8,
                extract(epoch FROM statement_timestamp() - u.measured_at)::float8 / {HALF_LIFE_SECONDS}), 0)
            + COALESCE(l.cpu_seconds, 0)) AS used
    FROM (SELECT owner_id, priority, array_agg(type) AS types FROM waiting GROUP BY owner_id, priority) w
    CROSS JOIN LATERAL (SELECT
        (SELECT t.served_at FROM jobs_turn t
         WHERE t.owner_id = w.owner_id AND t.lane = %(lane)s AND t.priority = w.priority) AS served_at,
        (SELECT j.queued_at FROM jobs_job j WHERE j.id = (
            SELECT s.job_id FROM jobs_step s
            WHERE {_WAITS} AND s.owner_id = w.owner_id AND s.priority = w.priority
            ORDER BY s.place LIMIT 1)) AS queued_at
        OFFSET 0
    ) since
    LEFT JOIN load l ON l.owner_id = w.owner_id
    LEFT JOIN jobs_usage u ON u.owner_id = w.owner_id
"""  # noqa: S608 - composed of constants

# Who goes first; of equals who was served longest ago, then who waits longest.
_SORTED = "c.level, c.used, c.steps, c.served_at NULLS FIRST, c.queued_at, c.owner_id, c.priority"

# The account behind a class; nothing starts for one that is suspended.
_ACCOUNT = """
    SELECT u.tier_id, COALESCE(u.concurrent_jobs_override, t.concurrent_jobs) AS cap,
        (SELECT count(*) FROM running r WHERE r.owner_id = u.id) AS running
    FROM users_user u JOIN users_tier t ON t.name = u.tier_id
    WHERE u.id = c.owner_id AND u.is_active OFFSET 0
"""

# How many more jobs may start under each limit of tier and type, for everybody together.
_LIMITS = """
    SELECT m.tier_id, m.type, m.per_user, m.at_once - (
        SELECT count(*) FROM running r
        WHERE (m.type = '' OR r.type = m.type)
          AND (m.tier_id IS NULL OR (SELECT a.tier_id FROM users_user a WHERE a.id = r.owner_id) = m.tier_id)
    ) AS room
    FROM jobs_limit m
"""

# How many more jobs of the type `y` may start for the account: its own cap, and the limits of tier and type.
_ROOM = """
    SELECT CASE WHEN y.type = 'intake' THEN 32767 ELSE LEAST(o.cap - o.running, (
        SELECT min(LEAST(m.room, m.per_user - (
            SELECT count(*) FROM running r
            WHERE r.owner_id = c.owner_id AND (m.type = '' OR r.type = m.type))))
        FROM limits m
        WHERE (m.type = '' OR m.type = y.type) AND (m.tier_id IS NULL OR m.tier_id = o.tier_id)
    )) END AS jobs OFFSET 0
"""

_OF_CLASS = f"{_WAITS} AND s.owner_id = c.owner_id AND s.priority = c.priority AND s.type = y.type"

# The best step of a class. Where a limit is reached that is one of a job that runs already. Each arm reads
# the head of an index, so neither a long queue nor an owner at the cap makes a claim slow.
_BEST = f"""
    SELECT found.id, y.type, room.jobs FROM unnest(c.types) AS y(type)
    CROSS JOIN LATERAL ({_ROOM}) room
    CROSS JOIN LATERAL (
        (SELECT s.id, s.rank, s.place FROM jobs_step s WHERE room.jobs > 0 AND {_OF_CLASS} AND {_READY}
         ORDER BY s.rank, s.place LIMIT 1)
        UNION ALL
        (SELECT s.id, s.rank, s.place FROM running r JOIN jobs_step s ON s.job_id = r.id
         WHERE room.jobs <= 0 AND r.owner_id = c.owner_id AND {_OF_CLASS} AND {_READY}
         ORDER BY s.rank, s.place LIMIT 1)
    ) found
    ORDER BY found.rank, found.place LIMIT 1
"""  # noqa: S608 - composed of constants

# About how many steps of a class could start at this moment, as far as it matters: where they compete for a
# machine, the first one does not get all of it.
_STARTABLE = f"""
    SELECT LEAST(GREATEST(best.jobs, 1), count(*)) FROM (
        SELECT 1 FROM jobs_step s
        WHERE {_WAITS} AND s.owner_id = c.owner_id AND s.priority = c.priority AND s.type = best.type
        LIMIT %(cores)s::int
    ) one
"""  # noqa: S608 - composed of constants


_STATE = f"""
    WITH RECURSIVE site AS MATERIALIZED ({_SITE}),
    held AS MATERIALIZED ({_HELD}),
    running AS MATERIALIZED ({_RUNNING}),
    limits AS MATERIALIZED ({_LIMITS}),
    free AS MATERIALIZED ({_FREE})
"""


def _line_up(limited_to: str) -> str:
    return f"""{_STATE},
    load AS MATERIALIZED ({_LOAD}),
    waiting(owner_id, priority, type) AS ({_WAITING.format(limited_to=limited_to)}),
    class AS MATERIALIZED ({_CLASSES})
"""


# A machine whose processor is shared out takes no further encode, and low priority keeps to its hours.
_MAY_START = f"""
    (%(lane)s <> 'encode' OR (SELECT cores IS NULL OR cores > 0 FROM free))
    AND (c.priority < {Priority.LOW.value} OR (SELECT low_runs FROM site))
"""  # noqa: S608 - composed of constants

# Owners who have something claimable in a lane, in the order in which they get their turn; `startable` is
# null where no machine is named. The sorted classes are looked at one by one until there are enough.
OWNERS = f"""{_line_up("AND (SELECT is_open FROM site)")}
    SELECT c.owner_id, c.priority, c.types, CASE WHEN %(cores)s::int IS NOT NULL THEN ({_STARTABLE}) END,
        EXISTS (SELECT FROM limits WHERE room IS NOT NULL)
    FROM (SELECT * FROM class c WHERE {_MAY_START} ORDER BY {_SORTED} OFFSET 0) c
    CROSS JOIN LATERAL ({_ACCOUNT}) o
    CROSS JOIN LATERAL ({_BEST}) best
    ORDER BY {_SORTED}
    LIMIT %(limit)s
"""  # noqa: S608 - composed of constants

# Of the processor: as many threads as a segment of its job uses beside the others; one for sound; a share for
# anything else, all of it where nothing else could start. Steps of the short lane share with encodes.
_THREADS = f"""
    CASE WHEN %(lane)s <> 'encode' THEN ceil(%(cores)s::float8 / GREATEST(1, free.encodes))
    WHEN s.kind = '{SOUND}' THEN 1
    WHEN s.kind = '{SEGMENT}' THEN LEAST(free.cores, round(%(cores)s::numeric / GREATEST(1, LEAST(
        %(cores)s::int, %(slots)s::int, (
            SELECT count(*) FROM jobs_step o
            WHERE o.job_id = s.job_id AND o.kind = '{SEGMENT}' AND o.status <> 'done')))))
    ELSE ceil(free.cores::float8 / GREATEST(1, LEAST(free.cores, free.slots, %(startable)s::int))) END
"""  # noqa: S608 - composed of constants

# Takes the best step of one class. The caller holds the locks that keep the figures from changing meanwhile;
# without the one of limits for all it takes nothing where such a limit is.
TAKE = f"""{_STATE},
    best AS MATERIALIZED (
        SELECT found.id FROM (
            SELECT %(owner)s::uuid AS owner_id, %(priority)s::int AS priority, %(types)s::varchar[] AS types
            OFFSET 0
        ) c
        CROSS JOIN LATERAL ({_ACCOUNT}) o
        CROSS JOIN LATERAL ({_BEST}) found
        WHERE (SELECT is_open FROM site) AND {_MAY_START}
          AND (%(limits_locked)s OR NOT EXISTS (SELECT FROM limits WHERE room IS NOT NULL))
    ), locked AS MATERIALIZED (
        SELECT s.id, s.job_id, s.kind FROM best
        JOIN jobs_step s ON s.id = best.id JOIN jobs_job j ON j.id = s.job_id
        WHERE s.status = 'queued' AND j.status IN ('queued', 'active')
        FOR NO KEY UPDATE OF j, s SKIP LOCKED
    ), granted AS MATERIALIZED (
        SELECT s.id, GREATEST(1, COALESCE({_THREADS}, 1))::int AS threads FROM locked s CROSS JOIN free
    ), step AS (
        UPDATE jobs_step SET status = 'active', attempt = attempt + 1, worker = %(worker)s,
            lease_until = statement_timestamp() + %(lease)s * interval '1 second',
            lease_token = gen_random_uuid(),
            started_at = statement_timestamp(), run_after = NULL, threads = granted.threads
        FROM granted WHERE jobs_step.id = granted.id
        RETURNING jobs_step.id, jobs_step.position, jobs_step.attempt, jobs_step.lease_token,
            jobs_step.job_id, jobs_step.kind, jobs_step.threads, jobs_step.started_at AS claimed_at,
            jobs_step.needs = '{{}}' AS is_first, jobs_step.priority
    ), job AS (
        UPDATE jobs_job SET status = 'active', started_at = COALESCE(started_at, statement_timestamp()),
            attempt = GREATEST(jobs_job.attempt, step.attempt),
            run_after = (
                SELECT min(o.run_after) FROM jobs_step o
                WHERE o.job_id = step.job_id AND o.id <> step.id AND o.status = 'queued'
                  AND o.run_after > statement_timestamp()),
            error_code = '', error_message = '', seq = seq + %(stride)s
        FROM step WHERE jobs_job.id = step.job_id
    ), turn AS (
        INSERT INTO jobs_turn (owner_id, lane, priority, served_at)
        SELECT %(owner)s, %(lane)s, step.priority, statement_timestamp() FROM step
        ON CONFLICT (owner_id, lane, priority) DO UPDATE SET served_at = EXCLUDED.served_at
    )
    SELECT id, position, attempt, lease_token, job_id, kind, threads, claimed_at, is_first FROM step
"""  # noqa: S608 - composed of constants

# The place of each of the `steps` among all that wait in the lane, if everybody goes on taking turns: before
# my third step come three of each owner who goes before me, two of the others at my level, and all of better
# levels.
PLACES = f"""{_line_up("")},
    number AS MATERIALIZED (
        SELECT s.owner_id, s.priority, count(*) AS steps FROM jobs_step s WHERE {_WAITS}
        GROUP BY s.owner_id, s.priority
    ), line AS MATERIALIZED (
        SELECT c.owner_id, c.priority, c.level, n.steps, row_number() OVER (ORDER BY {_SORTED}) AS turn
        FROM class c JOIN number n USING (owner_id, priority)
    ), mine AS MATERIALIZED (
        SELECT a.id, a.owner_id, a.priority, (
            SELECT count(*) FROM jobs_step s
            WHERE {_WAITS} AND s.owner_id = a.owner_id AND s.priority = a.priority
              AND (s.rank, s.place) <= (a.rank, a.place)) AS number
        FROM jobs_step a WHERE a.id = ANY(%(steps)s) AND a.lane = %(lane)s AND a.status = 'queued'
    )
    SELECT m.id, (m.number + COALESCE((
        SELECT sum(CASE
            WHEN o.level < l.level THEN o.steps
            WHEN o.level > l.level THEN 0
            ELSE LEAST(o.steps, m.number - CASE WHEN o.turn < l.turn THEN 0 ELSE 1 END) END)
        FROM line o WHERE o.turn <> l.turn), 0))::int
    FROM mine m JOIN line l USING (owner_id, priority)
"""  # noqa: S608 - composed of constants
