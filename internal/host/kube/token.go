package kube

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// Config is one place of a release that holds a token, and the config.toml that a
// pod makes of it.
type Config struct {
	// Path names the place: "/secret/NAME#runner-token", "/deployment/NAME#CI_SERVER_TOKEN",
	// "/configmap/NAME#config.toml".
	Path string
	Data []byte
	Err  error // why there is none, of kind not found, denied or unavailable
	// LegacyField says which field it is that the token stands in, where that field
	// is meant for a registration token; else "".
	LegacyField string
	Synthetic   bool // Data was made here; it stands in no object
	// AtStart: a pod reads it at its start only.
	AtStart   bool
	ReadOnly  string    // why gitlab-runner cannot save into it, "" where it has a copy
	ChangedAt time.Time // the object's last change, zero when unknown
	Identity  string    // equal for the same token at the same URL
}

// The keys of the Secret, by the chart's and the operator's convention, and the
// variables that the pod's entrypoint makes of them.
const (
	tokenKey, registrationKey           = "runner-token", "runner-registration-token"
	tokenVariable, registrationVariable = "CI_SERVER_TOKEN", "REGISTRATION_TOKEN"
)

func tokenVolume(secret string) volume {
	v := volume{Name: "token"}
	v.Secret = &struct {
		SecretName string
		Items      []item
	}{secret, []item{{tokenKey, tokenKey}, {registrationKey, registrationKey}}}
	return v
}

func isTokens(o origin) bool {
	return o.secret && slices.ContainsFunc(o.items, func(i item) bool { return i.Key == tokenKey || i.Key == registrationKey })
}

func withoutTokens(all []volume) []volume {
	return slices.DeleteFunc(slices.Clone(all), func(v volume) bool { return slices.ContainsFunc(v.origins(), isTokens) })
}

// findConfigs looks where the tokens can stand: the Secret of the convention, the
// variables, else a whole config.toml that is mounted.
func (r *Release) findConfigs(ctx context.Context) {
	if names := r.tokenSecrets(); len(names) > 0 {
		for _, name := range names {
			r.Configs = append(r.Configs, r.ofSecret(ctx, name))
		}
		return
	}
	if c, ok := r.ofVariables(ctx); ok {
		r.Configs = append(r.Configs, c)
		return
	}
	r.Configs = r.mounted(ctx)
	if len(r.Configs) == 0 {
		r.Configs = []Config{{Path: "/" + r.place(), Err: rekey.Errorf(rekey.KindNotFound, "%s mounts no Secret with %s or %s, has no %s, and no config.toml is mounted", r.place(), tokenKey, registrationKey, tokenVariable).
			WithHint("give the token to the release: `runnerToken` or `runners.secret` of the chart, spec.token of the operator")}}
	}
}

func (r *Release) place() string { return cmp.Or(r.Workload, "runner/"+r.Name) }

// tokenSecrets are the Secrets of the convention: those whose keys are listed for
// their names, or that are mounted whole at /secrets.
func (r *Release) tokenSecrets() []string {
	var names []string
	for _, v := range r.volumes {
		for _, o := range v.origins() {
			if (isTokens(o) || o.secret && len(o.items) == 0 && r.mountedAt(v.Name, "/secrets")) && !slices.Contains(names, o.name) {
				names = append(names, o.name)
			}
		}
	}
	return names
}

func (r *Release) mountedAt(volume, dir string) bool {
	for _, m := range r.container.VolumeMounts {
		if m.Name == volume && path.Clean(m.MountPath) == dir {
			return true
		}
	}
	return false
}

// ofSecret makes the section that the pod makes. The entrypoint reads each key by
// `$(cat …)`, which drops newlines at its end, and register prefers the token.
func (r *Release) ofSecret(ctx context.Context, name string) Config {
	c := Config{Path: "/secret/" + name + "#" + tokenKey, AtStart: true}
	var s secret
	if err := r.cluster.get(ctx, secrets, r.Namespace, name, &s); err != nil {
		c.Err = err
		return c
	}
	value := bytes.TrimRight(s.Data[tokenKey], "\n")
	if registration := bytes.TrimRight(s.Data[registrationKey], "\n"); len(value) == 0 && len(registration) > 0 {
		value = registration
		c.Path = "/secret/" + name + "#" + registrationKey
		c.LegacyField = fmt.Sprintf("key %s of Secret %s/%s", registrationKey, r.Namespace, name)
	}
	c.ChangedAt = s.Metadata.changed()
	r.complete(ctx, &c, value)
	return c
}

// ofVariables takes a token that the Deployment gives by the variables of register.
func (r *Release) ofVariables(ctx context.Context) (Config, bool) {
	for _, name := range []string{tokenVariable, registrationVariable} {
		value, from, err := r.variable(ctx, name)
		if from == "" || err == nil && value == "" {
			continue
		}
		c := Config{Path: "/" + from, AtStart: true, Err: err}
		if name == registrationVariable {
			c.LegacyField = "variable " + registrationVariable + " of " + r.Namespace + "/" + r.place()
		}
		if err == nil {
			r.complete(ctx, &c, []byte(value))
		}
		return c, true
	}
	return Config{}, false
}

// variable is a variable's value in the container, and where it stands; "" where
// there is no such variable or it comes from elsewhere.
func (r *Release) variable(ctx context.Context, name string) (value, from string, err error) {
	for _, v := range slices.Backward(r.container.Env) {
		switch {
		case v.Name != name:
		case v.ValueFrom == nil:
			return v.Value, r.place() + "#" + name, nil
		case v.ValueFrom.SecretKeyRef != nil:
			ref := v.ValueFrom.SecretKeyRef
			data, err := r.value(ctx, origin{secret: true, name: ref.Name}, ref.Key)
			return string(data), "secret/" + ref.Name + "#" + ref.Key, err
		case v.ValueFrom.ConfigMapKeyRef != nil:
			ref := v.ValueFrom.ConfigMapKeyRef
			data, err := r.value(ctx, origin{name: ref.Name}, ref.Key)
			return string(data), "configmap/" + ref.Name + "#" + ref.Key, err
		default:
			return "", "", nil
		}
	}
	return "", "", nil
}

// Getenv is the environment of the release's container, as far as the Deployment
// and what it refers to tell.
func (r *Release) Getenv(ctx context.Context) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		value, from, err := r.variable(ctx, name)
		return value, from != "" && err == nil
	}
}

// complete makes the config of a value: what `register` writes with it, the
// variables of the pod and the template.
func (r *Release) complete(ctx context.Context, c *Config, value []byte) {
	token := rekey.NewToken(strings.ToValidUTF8(string(value), "\uFFFD"))
	template := r.template(ctx)
	name, _ := r.plain("RUNNER_NAME")
	executor, _ := r.plain("RUNNER_EXECUTOR")
	ca, _ := r.plain("CI_SERVER_TLS_CA_FILE")
	var b strings.Builder
	b.WriteString("[[runners]]\n")
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s = %s\n", key, quote(value))
		}
	}
	line("name", cmp.Or(name, r.Name))
	fmt.Fprintf(&b, "  url = %s\n  token = %s\n", quote(r.URL), quote(token.Reveal()))
	line("executor", cmp.Or(executor, template.Executor, "kubernetes"))
	line("tls-ca-file", cmp.Or(ca, template.TLSCAFile))
	if template.FeatureFlags["FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"] {
		b.WriteString("  [runners.feature_flags]\n    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION = true\n")
	}
	c.Data, c.Synthetic = []byte(b.String()), true
	c.Identity = strings.Join([]string{r.cluster.String(), r.Namespace, c.Path, r.URL}, " ")
}

// template is the section of the release's config template; one that is not there,
// may not be read or is no template says nothing about the token.
func (r *Release) template(ctx context.Context) configtoml.Section {
	for _, v := range r.volumes {
		for _, o := range v.origins() {
			key := o.key("config.template.toml")
			if o.secret || key == "" {
				continue
			}
			data, err := r.value(ctx, o, key)
			switch {
			case err != nil && rekey.KindOf(err) != rekey.KindNotFound:
				r.Notes = append(r.Notes, fmt.Sprintf("the template of %s/%s was not read: %v (%s)", r.Namespace, r.Name, err, rekey.HintOf(err)))
			case err == nil:
				if doc, err := configtoml.Parse(data); err == nil && len(doc.Sections()) == 1 {
					return doc.Sections()[0]
				}
			}
		}
	}
	return configtoml.Section{}
}

// quote writes a string of TOML.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
