package cli

import (
	"context"
	"errors"
	"fmt"

	"rekey"
	"rekey/internal/app"
)

// oneOrder refuses orders that contradict each other.
func (f fixFlags) oneOrder() error {
	n := 0
	for _, given := range []bool{f.undo, f.resume, f.abort} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		return usageError{errors.New("--undo, --resume and --abort exclude each other")}
	case (f.resume || f.abort) && (f.plan != "" || f.run != "" || f.dryRun):
		return usageError{errors.New("--resume and --abort are about what is open: --plan, --run and --dry-run do not go with them (`rekey journal list --unfinished` shows what they would do)")}
	case f.undo && (f.dryRun || f.plan != ""):
		return usageError{errors.New("--undo makes no plan: --dry-run and --plan do not go with it (`rekey journal list` shows what it would put back)")}
	}
	return nil
}

// leftover is the order about what an earlier run left open, "" for none.
func (f fixFlags) leftover() string {
	switch {
	case f.resume:
		return "resume"
	case f.abort:
		return "abort"
	}
	return ""
}

// leftover finishes or gives up what an earlier run left open.
func (c *command) leftover(ctx context.Context, fix *app.Fix, f fixFlags) error {
	if f.resume {
		results, err := fix.ResumeOpen(ctx)
		if err != nil {
			return err
		}
		return c.fixed(fixReport{Results: results}, f)
	}
	done, err := fix.Abort(ctx)
	if f.output == "json" {
		if len(done.Undone)+len(done.Finished) > 0 {
			if jerr := c.json(abortJSON(done, c.app.Scrub)); jerr != nil {
				return jerr
			}
		}
	} else {
		c.abortText(done)
	}
	if err != nil {
		return err
	}
	for _, r := range done.Finished {
		if r.Status == rekey.StatusOpen || r.Status == rekey.StatusFailed {
			return exitError(exitPartial)
		}
	}
	return nil
}

func (c *command) abortText(done app.Aborted) {
	p := c.paper()
	for _, u := range done.Undone {
		if u.Err == nil {
			p.wrapped(p.green("✔ ")+"given up  ", c.app.Scrub(u.Text))
		}
	}
	for _, r := range done.Finished {
		text := fmt.Sprintf("%s: a reset of runner %d cannot be taken back, so its token was brought into the section", r.Status, r.RunnerID)
		if r.Reason != "" {
			text = fmt.Sprintf("%s: a reset of runner %d cannot be taken back, and it is not finished: %s", r.Status, r.RunnerID, r.Reason)
		}
		mark := p.green("✔ ")
		if r.Reason != "" {
			mark = p.red("✘ ")
		}
		p.wrapped(mark+p.bold(r.Name)+"  ", c.app.Scrub(text))
		if r.Next != "" {
			p.wrapped("     next ", c.app.Scrub(r.Next))
		}
	}
}

type givenUpDocument struct {
	Operation rekey.Operation `json:"operation"`
	Config    string          `json:"config"`
	Text      string          `json:"text"`
	Error     string          `json:"error,omitempty"`
}

func abortJSON(done app.Aborted, scrub func(string) string) any {
	list := []givenUpDocument{}
	for _, u := range done.Undone {
		d := givenUpDocument{Operation: u.Operation, Config: u.Config, Text: scrub(u.Text)}
		if u.Err != nil {
			d.Error = scrub(u.Err.Error())
		}
		list = append(list, d)
	}
	return struct {
		Schema   string            `json:"schema"`
		GivenUp  []givenUpDocument `json:"given_up"`
		Finished []rekey.Result    `json:"finished"`
	}{"rekey.abort/1", list, append([]rekey.Result{}, done.Finished...)}
}
