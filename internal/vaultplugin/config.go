package vaultplugin

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

const configKey = "config"

// DefaultRPS is the request budget of one mount; a tenth of what GitLab plans for at
// a middling size.
const DefaultRPS = 10

// config is what is stored, sealed by Vault's barrier and, where there is one, its
// seal.
type config struct {
	URL        string  `json:"url"`
	Token      string  `json:"token"`
	CA         string  `json:"ca,omitempty"`
	ClientCert string  `json:"client_cert,omitempty"`
	ClientKey  string  `json:"client_key,omitempty"`
	RPS        float64 `json:"requests_per_second"`
	// Instance names the GitLab beyond its URL: a lease of another one must not
	// delete a record that has the same id here.
	Instance string `json:"instance"`
}

type connected struct {
	GitLab
	config config
}

const configHelp = `The user token needs the scopes create_runner, manage_runner and read_api, or api, and
the role that GitLab asks for: administrator for instance runners, Owner of the group,
Maintainer of the project. It cannot be read back.

The URL can change only while no runner is outstanding, or with moved=true when it is
the same GitLab under another name. It takes the token with it, and the client_key where
there is one: what is stored is sent to no other URL than it was given for.`

func (b *backend) configPaths() []*framework.Path {
	secret := &framework.DisplayAttributes{Sensitive: true}
	return []*framework.Path{{
		Pattern: "config",
		Fields: map[string]*framework.FieldSchema{
			"url":                 {Type: framework.TypeString, Description: "URL of the GitLab, such as https://gitlab.example.com."},
			"token":               {Type: framework.TypeString, Description: "User token: a personal, group or project access token. Never readable back.", DisplayAttrs: secret},
			"ca_cert":             {Type: framework.TypeString, Description: "PEM of the CAs to trust beside the system's."},
			"client_cert":         {Type: framework.TypeString, Description: "PEM of a client certificate, where GitLab asks for one."},
			"client_key":          {Type: framework.TypeString, Description: "PEM of its key. Never readable back.", DisplayAttrs: secret},
			"requests_per_second": {Type: framework.TypeFloat, Default: float64(DefaultRPS), Description: "Request budget; 0 lifts it. GitLab's own limits are kept to in any case."},
			"verify":              {Type: framework.TypeBool, Default: true, Description: "Ask GitLab whether it takes the token before storing it."},
			"moved":               {Type: framework.TypeBool, Description: "The new URL is the same GitLab: runners that are outstanding stay ours."},
		},
		ExistenceCheck: b.configExists,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readConfig, Summary: "Read the connection, without its secrets."},
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeConfig, Summary: "Set the connection."},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeConfig, Summary: "Change the connection; what is not given stays."},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteConfig, Summary: "Forget the connection, while no runner is outstanding."},
		},
		HelpSynopsis:    "The GitLab, and the user token that creates and deletes runners.",
		HelpDescription: configHelp,
	}}
}

func loadConfig(ctx context.Context, s logical.Storage) (*config, error) {
	entry, err := s.Get(ctx, configKey)
	if err != nil || entry == nil {
		return nil, err
	}
	c := new(config)
	return c, entry.DecodeJSON(c)
}

func (b *backend) configExists(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
	c, err := loadConfig(ctx, req.Storage)
	return c != nil, err
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := loadConfig(ctx, req.Storage)
	if err != nil || c == nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"url": c.URL, "token": rekey.NewToken(c.Token).String(), "ca_cert": c.CA, "client_cert": c.ClientCert,
		"client_key_set": c.ClientKey != "", "requests_per_second": c.RPS,
	}}, nil
}

func (b *backend) writeConfig(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	old, err := loadConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	c := &config{RPS: DefaultRPS}
	if old != nil {
		*c = *old
	}
	take(d, "token", &c.Token)
	take(d, "ca_cert", &c.CA)
	take(d, "client_cert", &c.ClientCert)
	take(d, "client_key", &c.ClientKey)
	take(d, "url", &c.URL)
	take(d, "requests_per_second", &c.RPS)
	c.Token = strings.TrimSpace(c.Token)
	gl, err := b.check(ctx, c)
	if err == nil && old != nil && old.URL != c.URL {
		err = secretsGiven(d, old, c)
	}
	if err != nil {
		return refusal(err)
	}
	resp := &logical.Response{}
	if d.Get("verify").(bool) {
		if resp.Warnings, err = tried(ctx, gl); err != nil {
			return refusal(err)
		}
	}
	if err := b.replace(ctx, req.Storage, old, c, d.Get("moved").(bool)); err != nil {
		return refusal(err)
	}
	strange, err := strangeRoles(ctx, req.Storage, c.Instance)
	for _, name := range strange {
		resp.AddWarning("the owner of the role " + name + " is of the GitLab that was configured before: write it again; the role issues no runner until then")
	}
	if len(resp.Warnings) == 0 {
		resp = nil
	}
	return resp, err
}

// tried asks GitLab whether it takes the token, and returns what that cannot do.
func tried(ctx context.Context, gl GitLab) (warnings []string, err error) {
	scopes, err := gl.Scopes(ctx)
	if err != nil {
		hint := "verify=false stores it untried"
		if more := rekey.HintOf(err); more != "" {
			hint = more + "; " + hint
		}
		return nil, rekey.Errorf(rekey.KindOf(err), "the connection was not stored: %w", err).WithHint("%s", hint)
	}
	return lacking(scopes), nil
}

// secretsGiven refuses to use the secrets that are stored at another URL than they were
// given for: whoever may write the config, and cannot read them, would have them sent
// to a server of their own.
func secretsGiven(d *framework.FieldData, old, c *config) error {
	var lack []string
	if _, given := d.GetOk("token"); !given {
		lack = append(lack, "token")
	}
	if _, given := d.GetOk("client_key"); !given && c.ClientKey != "" {
		lack = append(lack, "client_key")
	}
	if len(lack) == 0 {
		return nil
	}
	text := strings.Join(lack, " and ")
	return invalid("the URL changes from %s to %s, and the %s that is stored was given for the old one", old.URL, c.URL, text).
		WithHint("give %s in the same write: what is stored is sent to no other URL", text)
}

func take[T any](d *framework.FieldData, name string, to *T) {
	if v, given := d.GetOk(name); given {
		*to = v.(T)
	}
}

// check makes the client, which settles the URL's spelling.
func (b *backend) check(_ context.Context, c *config) (GitLab, error) {
	switch {
	case c.URL == "":
		return nil, invalid("url is missing").WithHint("give the GitLab's URL, such as url=https://gitlab.example.com")
	case c.Token == "":
		return nil, invalid("token is missing").WithHint("give a user token with the scopes create_runner, manage_runner and read_api")
	case c.RPS < 0:
		return nil, invalid("requests_per_second cannot be negative").WithHint("0 lifts the limit")
	case (c.ClientCert == "") != (c.ClientKey == ""):
		return nil, invalid("client_cert and client_key belong together")
	}
	gl, url, err := b.connect(c)
	if err == nil {
		c.URL = url
	}
	return gl, err
}

func (b *backend) connect(c *config) (GitLab, string, error) {
	return b.opts.Connect(Connection{URL: c.URL, Token: rekey.NewToken(c.Token), CA: c.CA,
		ClientCert: c.ClientCert, ClientKey: rekey.NewToken(c.ClientKey), RPS: c.RPS})
}

// lacking says what a user token cannot do; GitLab that tells no scopes says it when
// it is asked.
func lacking(scopes []string) []string {
	if scopes == nil || slices.Contains(scopes, "api") {
		return nil
	}
	var all []string
	for _, need := range []struct{ scope, without string }{
		{"create_runner", "no runner can be created"},
		{"manage_runner", "no runner can be deleted, so no lease revoked (it exists from GitLab 17.1; before that only api serves)"},
		{"read_api", "a runner whose creation was interrupted cannot be found, so not deleted"},
	} {
		if !slices.Contains(scopes, need.scope) {
			all = append(all, "the token lacks the scope "+need.scope+": "+need.without)
		}
	}
	return all
}
