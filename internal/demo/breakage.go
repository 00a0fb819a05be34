package demo

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// draw chooses what is planted: each certain kind once, some more by chance, and
// healthy sections between them.
func (d *demo) draw() []breakage {
	drawn := slices.Clone(breakages)
	for range 2 + d.rng.IntN(3) {
		again := repeatable[d.rng.IntN(len(repeatable))]
		i := slices.IndexFunc(breakages, func(b breakage) bool { return b.name == again })
		drawn = append(drawn, breakages[i])
	}
	for range 4 + d.rng.IntN(3) {
		drawn = append(drawn, breakage{name: "healthy", verdict: "valid", plant: plantHealthy})
	}
	return drawn
}

var repeatable = []string{"deleted", "rotated", "malformed", "registration token"}

var breakages = []breakage{
	{name: "registration token", causes: []string{"registration-token-in-config", "legacy-registration-disabled"}, verdict: "invalid", plant: plantRegistration},
	{name: "deleted", causes: []string{"record-deleted"}, verdict: "invalid", plant: plantDeleted},
	{name: "rotated", causes: []string{"rotated-elsewhere"}, verdict: "invalid", plant: plantRotated},
	{name: "expired", causes: []string{"token-expired"}, verdict: "invalid", plant: plantExpired},
	{name: "malformed", causes: []string{"malformed-token"}, verdict: "invalid", plant: plantMalformed},
	{name: "project path", causes: []string{"wrong-instance"}, verdict: "unknown", plant: plantPath},
	{name: "wrong project", causes: []string{"wrong-scope"}, verdict: "valid", host: "delta", plant: plantWrongProject},
	{name: "duplicate", causes: []string{"duplicate-token"}, verdict: "valid", plant: plantHealthy},
	{name: "paused", causes: []string{"online-but-idle"}, verdict: "valid", left: true, plant: plantPaused},
	{name: "unreachable", causes: []string{"unreachable"}, verdict: "unknown", left: true, plant: plantUnreachable},
	{name: "reference", causes: []string{"environment-reference"}, verdict: "unknown", left: true, plant: plantReference},
}

// runner makes a record and gives its token to the section.
func (d *demo) runner(ctx context.Context, s *section, attributes map[string]any) error {
	r, err := d.api.createRunner(ctx, attributes)
	if err != nil {
		return err
	}
	// Not so fresh that doctor would ask again whether it is known everywhere.
	s.id, s.token, s.obtained = r.ID, r.Token, time.Now().UTC().Add(-10*time.Minute).Truncate(time.Second)
	if r.ExpiresAt != nil {
		s.expires = *r.ExpiresAt
	}
	return nil
}

func (d *demo) scope() string { return []string{"instance", "group", "project"}[d.rng.IntN(3)] }

func plantHealthy(ctx context.Context, d *demo, s *section) error {
	return d.runner(ctx, s, d.fleet.attributes(d.scope(), s.name))
}

// plantRegistration leaves the registration token where the runner's belongs, as
// a copied guide does.
func plantRegistration(_ context.Context, d *demo, s *section) error {
	s.token = d.lab.RegistrationToken()
	return nil
}

func plantDeleted(ctx context.Context, d *demo, s *section) error {
	if err := plantHealthy(ctx, d, s); err != nil {
		return err
	}
	return d.api.deleteRunner(ctx, s.id)
}

func plantRotated(ctx context.Context, d *demo, s *section) error {
	if err := plantHealthy(ctx, d, s); err != nil {
		return err
	}
	s.obtained = s.obtained.Add(-40 * 24 * time.Hour)
	return d.api.resetRunner(ctx, s.id)
}

// plantExpired makes the record three hours ago, with the shortest lifetime that
// GitLab allows.
func plantExpired(ctx context.Context, d *demo, s *section) error {
	const lifetime = 2 * time.Hour
	interval := func(v any) map[string]any {
		return map[string]any{"runner_token_expiration_interval": v, "group_runner_token_expiration_interval": v, "project_runner_token_expiration_interval": v}
	}
	d.lab.SetBack(3 * time.Hour)
	defer d.lab.SetBack(0)
	if err := d.api.settings(ctx, interval(int(lifetime.Seconds()))); err != nil {
		return err
	}
	if err := plantHealthy(ctx, d, s); err != nil {
		return err
	}
	s.obtained = s.obtained.Add(-3 * time.Hour)
	return d.api.settings(ctx, interval(nil))
}

// plantMalformed spoils a good token as a shell, an editor or a chat does.
func plantMalformed(ctx context.Context, d *demo, s *section) error {
	if err := plantHealthy(ctx, d, s); err != nil {
		return err
	}
	spoilt := []string{s.token + "\n", s.token + "\r", " " + s.token, `"` + s.token + `"`, "\u00a0" + s.token, s.token + "\u200b", "“" + s.token + "”"}
	s.token = spoilt[d.rng.IntN(len(spoilt))]
	return nil
}

// plantPath writes the project's address where GitLab's belongs.
func plantPath(ctx context.Context, d *demo, s *section) error {
	s.url = d.lab.URL() + "/acme/web"
	return plantHealthy(ctx, d, s)
}

// plantWrongProject takes a runner of acme/api to a host that is meant for acme/web.
func plantWrongProject(ctx context.Context, d *demo, s *section) error {
	a := d.fleet.attributes("project", s.name)
	a["project_id"] = d.fleet.api
	return d.runner(ctx, s, a)
}

func plantPaused(ctx context.Context, d *demo, s *section) error {
	a := d.fleet.attributes(d.scope(), s.name)
	a["paused"] = true
	return d.runner(ctx, s, a)
}

// plantUnreachable names a port where nothing listens.
func plantUnreachable(_ context.Context, d *demo, s *section) error {
	s.url, s.token = "http://127.0.0.1:9", "glrt-"+d.word(20)
	return nil
}

// plantReference leaves the token to a variable that is not set on this host.
func plantReference(_ context.Context, d *demo, s *section) error {
	s.token = fmt.Sprintf("${RUNNER_TOKEN_%d}", 1+d.rng.IntN(9))
	return nil
}
