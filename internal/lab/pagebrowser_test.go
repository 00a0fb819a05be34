package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"rekey/internal/lab/labtest"
)

// startChromium opens a tab of a browser of its own. Without Chromium the test is
// skipped, but on CI it fails.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	var found string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			found = path
			break
		}
	}
	if found == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Chromium on this machine, and CI has to have one: .ci/run installs it")
		}
		t.Skip("NO CHROMIUM ON THIS MACHINE: the page was not tried in a browser (apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-component-update", true))
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start %s: %v", found, err)
	}
	limited, stop := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	return limited
}

// tab drives the page as a person does.
type tab struct {
	t    *testing.T
	ctx  context.Context
	url  string
	shot int
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func look[T any](b *tab, script string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return got
}

// wait polls until the script is true. A page that is being left answers with an
// error, which is no reason to stop.
func (b *tab) wait(script string) {
	b.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!document.body && "+script)); err == nil && is {
			return
		}
		select {
		case <-again.C:
		case <-b.ctx.Done():
			b.t.Fatalf("waited for %s in vain", script)
		}
	}
}

func (b *tab) open(path string) { b.t.Helper(); b.do(path, chromedp.Navigate(b.url+path)) }

// keep saves what is seen now to the directory PAGE_SCREENSHOTS, for people.
func (b *tab) keep(name string) {
	b.t.Helper()
	dir := os.Getenv("PAGE_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.shot++
	image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d-%s.png", b.shot, name)), image, 0o600)
	}
	if err != nil {
		b.t.Errorf("screenshot: %v", err)
	}
}

// style picks the width and the colours of what is looked at.
func (b *tab) style(width int64, scheme string) {
	b.t.Helper()
	b.do("style", chromedp.EmulateViewport(width, 900), func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		return cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	})
}

// TestPageInABrowser signs in, creates a runner by the form, sees its token once and
// follows a job's log, with the scripts and styles that the page's policy lets in.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	l := labtest.Start(t, labtest.Options{Version: "18.6"})
	project, _ := l.Project("app", l.Group("team", 0))
	l.CIConfig(project, "build:\n  tags: [linux]\n  script: [echo hi]\n")
	b := &tab{t: t, ctx: startChromium(t), url: l.URL}
	b.style(1200, "light")
	b.open("/-/lab/runners")
	b.wait(`location.pathname === "/users/sign_in"`)
	b.keep("sign-in")
	b.do("sign in", chromedp.SendKeys(`input[name=token]`, l.Admin), chromedp.Click(`main button`))
	b.wait(`location.pathname === "/"`)

	b.open("/-/lab/runners/new")
	b.do("the form", chromedp.Click(`input[value=project_type]`), chromedp.SendKeys(`input[name=tag_list]`, "linux, docker"),
		chromedp.SendKeys(`input[name=description]`, "made in a browser"))
	look[string](b, fmt.Sprintf(`document.querySelector("select[name=project_id]").value = "%d"`, project))
	if look[bool](b, `document.querySelector("select[name=group_id]").checkVisibility()`) {
		t.Error("the group of a project runner is asked for")
	}
	b.keep("new-runner")
	b.do("create", chromedp.Click(`form.fields > button`))
	b.wait(`!!document.querySelector("#token")`)
	token := look[string](b, `document.querySelector("#token").textContent`)
	b.keep("token")
	r := labtest.Issued{ID: 1, Token: token}
	l.MustAs("", 200, "POST", "runners/verify", labtest.M{"token": token, "system_id": "s_CANARY000001"}, nil)
	if address := look[string](b, "location.href"); strings.Contains(address, token) {
		t.Error("the token is in the address")
	}
	b.do("reload", chromedp.Reload())
	if text := look[string](b, "document.documentElement.outerHTML"); strings.Contains(text, token) || !strings.Contains(text, "shown once and is not kept") {
		t.Errorf("after a reload: got %s", strings.ReplaceAll(text, token, "THE TOKEN"))
	}
	b.keep("token-reloaded")

	l.Pipeline(project, nil)
	j := ask(t, l, r, nil)
	first := "\x1b[32;1mhello from the job\x1b[0;m\n"
	appendTrace(t, l, j, 0, first)
	b.open(fmt.Sprintf("/-/lab/projects/%d/jobs/%d", project, j.ID))
	b.wait(`document.querySelector("#trace").textContent === "hello from the job\n"`)
	b.keep("job")
	appendTrace(t, l, j, len(first), "and <b>more</b>\n")
	b.wait(`document.querySelector("#trace").textContent === "hello from the job\nand <b>more</b>\n"`)
	l.MustAs("", 200, "PUT", fmt.Sprintf("jobs/%d", j.ID), labtest.M{"token": j.Token, "state": "success"}, nil)
	b.wait(`document.querySelector("#status").textContent === "success" && !document.querySelector("#trace").dataset.live`)
	b.keep("job-done")

	looks := []looked{{390, "dark"}}
	if os.Getenv("PAGE_SCREENSHOTS") != "" {
		looks = append(looks, looked{390, "light"}, looked{1200, "dark"}, looked{1200, "light"})
	}
	for _, look := range looks {
		b.style(look.width, look.scheme)
		for _, path := range []string{"/", "/-/lab/runners", "/-/lab/runners/1", "/-/lab/runners/new", "/-/lab/jobs", "/-/lab/settings", "/-/lab/accepted"} {
			b.open(path)
			b.fits(path, look.width)
			b.keep(fmt.Sprintf("%s-%d%s", look.scheme, look.width, strings.ReplaceAll(path, "/", "_")))
		}
	}
	b.do("sign out", chromedp.Click(`header form button`))
	b.wait(`location.pathname === "/users/sign_in"`)
}

// looked is a width and colours to look at the pages in.
type looked struct {
	width  int64
	scheme string
}

// fits fails where a page has to be scrolled sideways.
func (b *tab) fits(path string, width int64) {
	b.t.Helper()
	if got := look[int64](b, "document.documentElement.scrollWidth"); got > width {
		b.t.Errorf("%s at %d: it is %d wide", path, width, got)
	}
}
