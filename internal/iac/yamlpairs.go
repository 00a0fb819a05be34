package iac

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"

	"rekey/internal/lazyregexp"
)

var pairNames = [][2]string{{"name", "value"}, {"Name", "Value"}, {"key", "value"}, {"Key", "Value"}, {"ParameterKey", "ParameterValue"}, {"name", "default"}, {"variable", "value"}, {"name", "valueFrom"}, {"name", "ValueFrom"}, {"Name", "ValueFrom"}}

// pairs reads mappings that hold a name and a value under names of their own.
func (r *yamlReader) pairs(n *yaml.Node, path []string) {
	at := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at[n.Content[i].Value] = n.Content[i+1]
	}
	for _, p := range pairNames {
		name, value := at[p[0]], at[p[1]]
		if name == nil || value == nil || name.Kind != yaml.ScalarNode {
			continue
		}
		where := r.scalar(name)
		if value.Kind == yaml.ScalarNode && !tagged(value) && !strings.EqualFold(p[1], "valueFrom") {
			r.f.see(site{kind: siteField, name: where, value: r.scalar(value), path: path, set: true, pair: true})
		} else {
			r.f.see(site{kind: siteField, name: where, value: where.sub(0, 0).reference(), path: path, set: true, pair: true})
		}
	}
	r.external(at)
	r.chart(at)
	r.web(at)
}

// external reads an entry of an ExternalSecret: what it is called in the secret
// store tells what it is; the name in the Secret is the chart's own.
func (r *yamlReader) external(at map[string]*yaml.Node) {
	remote := at["remoteRef"]
	if at["secretKey"] == nil || remote == nil || remote.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(remote.Content); i += 2 {
		value := remote.Content[i+1]
		if k := remote.Content[i].Value; (k == "property" || k == "key") && value.Kind == yaml.ScalarNode && isRegistration(normal(lastPart(value.Value))) {
			where := r.scalar(value)
			r.f.see(site{kind: siteMention, name: where, value: where.sub(0, 0), text: "external"})
		}
	}
}

// chart notes the version of the runner's chart.
func (r *yamlReader) chart(at map[string]*yaml.Node) {
	if chart := at["chart"]; chart == nil || !strings.HasSuffix(chart.Value, "gitlab-runner") {
		return
	}
	for _, key := range []string{"version", "targetRevision"} {
		if v := at[key]; v != nil && v.Kind == yaml.ScalarNode {
			r.f.pin("chart", r.scalar(v))
		}
	}
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// web reads a task that sends POST /runners.
func (r *yamlReader) web(at map[string]*yaml.Node) {
	url, method := at["url"], at["method"]
	if url == nil || method == nil || url.Kind != yaml.ScalarNode || !strings.EqualFold(method.Value, "post") {
		return
	}
	where := r.scalar(url)
	if i := bytes.Index(where.orig, []byte("api/v4/runners")); i >= 0 && runnersEnd.Match(where.orig[i:]) {
		r.f.see(site{kind: siteMention, name: where.sub(i, i+len("api/v4/runners")), value: where.sub(0, 0), text: "request"})
	}
}

var runnersEnd = lazyregexp.New(`^api/v4/runners/?(?:\?|["'\s]|$)`)
