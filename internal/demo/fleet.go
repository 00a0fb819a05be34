package demo

import "context"

// fleet is what stands in the lab before anything breaks.
type fleet struct {
	group         int64 // acme
	web, api, can int64 // acme/web, acme/api, acme/canary
}

func raiseFleet(ctx context.Context, c *client) (*fleet, error) {
	f := &fleet{}
	var err error
	if f.group, err = c.group(ctx, "acme"); err != nil {
		return nil, err
	}
	for path, id := range map[string]*int64{"web": &f.web, "api": &f.api, "canary": &f.can} {
		if *id, err = c.project(ctx, f.group, path); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// attributes of a new runner of one of the three scopes; project runners belong
// to acme/web.
func (f *fleet) attributes(scope, description string) map[string]any {
	a := map[string]any{"runner_type": scope + "_type", "description": description, "tag_list": []string{"demo", scope}, "run_untagged": false}
	switch scope {
	case "group":
		a["group_id"] = f.group
	case "project":
		a["project_id"] = f.web
	}
	return a
}
