package app

import (
	"context"

	"rekey"
	fleets "rekey/internal/fleet" // package app has a type fleet
)

// CompatInput is what compat is asked.
type CompatInput struct {
	Target          string // "": the server as it is
	Chart, Provider string // versions, as the operator says
}

// Compat compares the versions of a fleet's managers with their server's.
// Unread tells how many records gave no details, and why.
func (f *Fleet) Compat(ctx context.Context, in CompatInput) (c fleets.Compat, unread Overview, err error) {
	matrix := fleets.CompatInput{Chart: in.Chart, Provider: in.Provider}
	for _, text := range []string{in.Chart, in.Provider} {
		if _, err := rekey.ParseVersion(text); text != "" && err != nil {
			return c, unread, err
		}
	}
	if in.Target != "" {
		if matrix.Target, err = fleets.ParseTarget(in.Target); err != nil {
			return c, unread, err
		}
	}
	if _, matrix.Server, err = f.client.Version(ctx); err != nil {
		return c, unread, err
	}
	runners, err := f.listed(ctx, "")
	if err != nil {
		return c, unread, err
	}
	unread.Of = len(runners)
	if matrix.Records, unread.Unread, unread.Why, err = f.details(ctx, idsOf(runners)); err != nil {
		return c, unread, err
	}
	matrix.Unread = unread.Unread
	c, err = fleets.Matrix(matrix)
	return c, unread, err
}
