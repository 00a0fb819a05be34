package lab

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// settingField is one key on the settings page.
type settingField struct {
	Key, Value string
	On         bool
	Kind       string // boolean, number, words or text
	OneOf      []string
	From       provenance
	Nullable   bool
}

type settingsView struct {
	Fields []settingField
	Saved  bool
	Wrong  string
}

func showSettings(p *visit) error {
	return p.settingsForm(http.StatusOK, settingsView{Saved: p.r.URL.Query().Has("saved")})
}

func (p *visit) settingsForm(status int, view settingsView) error {
	values, err := ask[map[string]any](p, "application/settings", nil)
	if err != nil {
		return err
	}
	for _, row := range settingTable {
		if value, has := values[row.key]; has {
			view.Fields = append(view.Fields, fieldOf(row, value))
		}
	}
	p.show(status, "settings", pageView{Title: "Settings", Body: view})
	return nil
}

func fieldOf(row settingRow, value any) settingField {
	f := settingField{Key: row.key, Kind: "text", OneOf: row.oneOf, From: row.from, Nullable: row.nullable}
	switch row.kind {
	case boolean:
		f.Kind = "boolean"
		f.On, _ = value.(bool)
		f.Value = formatBool(f.On)
		return f
	case integer:
		f.Kind = "number"
	case words:
		f.Kind = "words"
		list, _ := value.([]string)
		f.Value = strings.Join(list, ",")
		return f
	}
	if value != nil {
		f.Value = fmt.Sprint(value)
	}
	return f
}

// changeSettings is PUT /application/settings with what the form changed: what
// somebody else changed meanwhile stays.
func changeSettings(p *visit) error {
	body := map[string]any{}
	for _, row := range settingTable {
		before, shown := p.r.PostForm["was."+row.key]
		value := p.r.PostForm.Get(row.key)
		if row.kind == boolean {
			value = formatBool(p.r.PostForm.Has(row.key))
		}
		if shown && !slices.Equal(before, []string{value}) {
			body[row.key] = value
		}
	}
	if len(body) > 0 {
		if err := p.order(http.MethodPut, "application/settings", body, nil); err != nil {
			status, wrong := p.reason(err)
			return p.settingsForm(status, settingsView{Wrong: wrong})
		}
	}
	return p.goTo("settings?saved")
}
