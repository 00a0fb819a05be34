package secretstore

import (
	"encoding/json"
	"strings"

	"rekey"
)

// Judgement is what a value's text tells of it.
type Judgement struct {
	Fit     bool        // it may be sent as a runner token
	Problem string      // why not, or what looks wrong all the same; "" for nothing
	Cleaned rekey.Token // what is left without white space and quotes around it
	Mended  bool        // Cleaned is fit, and the value is not
}

// Judge looks at a value as a runner token. The problem never quotes it.
func Judge(value rekey.Token) Judgement {
	j := Judgement{Cleaned: value}
	lexical := value.Lexical()
	j.Fit = lexical.Sendable
	if j.Fit {
		if lexical.Suspicion != nil {
			j.Problem = lexical.Suspicion.Text
		}
		return j
	}
	if cleaned, better := value.Cleaned(); better {
		j.Cleaned, j.Mended = cleaned, true
	}
	j.Problem = problem(value, lexical)
	return j
}

func problem(value rekey.Token, lexical rekey.Lexical) string {
	text := strings.TrimSpace(value.Reveal())
	switch {
	case strings.HasPrefix(text, "{") && json.Valid([]byte(text)):
		return "it is a JSON object, not a token: name one of its keys after a # in the reference"
	case strings.HasPrefix(text, "-----BEGIN"):
		return "it is a PEM block (a key or a certificate), not a runner token"
	case lexical.Kind == rekey.TokenReference:
		return "it refers to a variable instead of holding a token"
	}
	var all []string
	for _, p := range lexical.Problems {
		all = append(all, p.Text)
	}
	return strings.Join(all, "; ")
}
