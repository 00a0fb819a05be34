package gitlab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"rekey"
)

// ProbeRegistration asks without any credential whether the instance takes
// registration tokens: POST /runners with random garbage is 410 while the
// instance's switch is off and 403 while it is on, and creates nothing. allowed
// is nil when the answer tells neither. A group may still have switched it off
// for itself. caFile is as tls-ca-file of a section.
func (p *Prober) ProbeRegistration(ctx context.Context, url, caFile string) (allowed *bool, evidence rekey.Evidence) {
	base, err := BaseURL(url)
	if err != nil {
		return nil, rekey.Evidence{Seen: err.Error(), At: p.opts.Now()}
	}
	target := base + apiPath + "runners"
	evidence = rekey.Evidence{Where: "POST " + display(target), At: p.opts.Now()}
	client, err := p.client(tlsFiles{ca: caFile})
	if err != nil {
		evidence.Seen = short(nil, err.Error())
		return nil, evidence
	}
	budget := p.opts.Budgets.For(base)
	if err := budget.Wait(ctx, nil); err != nil {
		evidence.Seen = "not asked within the time given"
		return nil, evidence
	}
	r := p.register(ctx, client, target)
	evidence.At = p.opts.Now()
	if r.err != nil {
		evidence.Seen = short(nil, transportText(r.err))
		return nil, evidence
	}
	budget.Observe(r.status, r.header)
	return readRegistration(r, evidence)
}

func (p *Prober) register(ctx context.Context, client *http.Client, target string) *reply {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"token": "rekey-asks-" + rand.Text()})
	if err != nil {
		return &reply{err: err}
	}
	req, err := newRequest(ctx, http.MethodPost, target, p.opts.UserAgent, body)
	if err != nil {
		return &reply{err: err}
	}
	return exchange(client, req)
}

func readRegistration(r *reply, evidence rekey.Evidence) (*bool, rekey.Evidence) {
	e := parseEnvelope(r.body)
	evidence.Seen = short(nil, fmt.Sprintf("a registration with a meaningless token is answered %s: %s", r.statusText(), orStatus(e.text(), r)))
	yes, no := true, false
	switch {
	case r.cut != nil || !e.plain:
		return nil, evidence
	case r.status == http.StatusGone && e.message == "410 Gone - runner registration disallowed":
		return &no, evidence
	case r.status == http.StatusForbidden && (e.refusal() || strings.HasPrefix(e.message, "403 Forbidden - invalid token")):
		return &yes, evidence
	}
	return nil, evidence
}
