package remedy

import (
	"fmt"
	"strings"

	"rekey"
)

// mostNamed bounds how many operations an error names.
const mostNamed = 5

// keyLost says what the loss of the key means for the operations whose journals were
// sealed with it. What a journal says of its section and runner is not sealed.
func (s *Store) keyLost(journals int) error {
	where := fmt.Sprintf("%s is gone, but %s", s.keyPath(), counted(journals))
	all, err := s.Summaries()
	if err != nil {
		return rekey.Errorf(rekey.KindConflict, "%s; what they say cannot be read: %w", where, err).WithHint("%s", s.withoutKey())
	}
	var open []string
	for _, sum := range all {
		if sum.Held != "" {
			open = append(open, fmt.Sprintf("%s (%s): %s", sum.Operation, about(sum), sum.Held))
		}
	}
	if len(open) == 0 {
		return rekey.Errorf(rekey.KindConflict, "%s; all of them are finished, so that no token is lost", where).
			WithHint("restore the key from a backup; without it those runs cannot be undone: move %s away and run the command again", s.operations())
	}
	if more := len(open) - mostNamed; more > 0 {
		open = append(open[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return rekey.Errorf(rekey.KindConflict, "%s: %s", where, strings.Join(open, "; ")).WithHint("%s", s.withoutKey())
}

func (s *Store) withoutKey() string {
	return fmt.Sprintf("restore the key from a backup. Without it a token that was received and not delivered yet is lost; tokens that are in a config.toml or in a store already are not affected. "+
		"Then move %s away: `rekey fix` or `rekey rotate` makes a new token", s.operations())
}

func counted(journals int) string {
	if journals == 1 {
		return "1 journal sealed with it is there"
	}
	return fmt.Sprintf("%d journals sealed with it are there", journals)
}

// about names what an operation is for.
func about(sum Summary) string {
	t := sum.Target
	text := string(t.Remedy)
	if t.Name != "" || t.Config != "" {
		text += fmt.Sprintf(" of section %q in %s", t.Name, t.Config)
	}
	switch {
	case t.RunnerID != 0 && sum.RunnerID != t.RunnerID:
		text += fmt.Sprintf(", runner %d, then %d", t.RunnerID, sum.RunnerID)
	case sum.RunnerID != 0:
		text += fmt.Sprintf(", runner %d", sum.RunnerID)
	}
	return strings.TrimSpace(text)
}
