package gitlab

import (
	"net/url"
	"strings"

	"rekey"
)

// apiPath follows the base URL in every request.
const apiPath = "/api/v4/"

// BaseURL returns what gitlab-runner puts before /api/v4/ for the url of a
// section: trailing slashes and then one trailing /ci go, a sub-path stays. It
// fails with KindInvalid where nothing can be requested: empty, no scheme, not
// http or https, no host, white space, quotes, a query or a fragment. The error
// never quotes user information.
func BaseURL(text string) (string, error) {
	u, err := parseBase(text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// HostURL is BaseURL for what people put into GITLAB_HOST and --url: https is
// assumed where there is no scheme, and a trailing /api/v4 goes.
func HostURL(text string) (string, error) {
	if text != "" && !strings.Contains(text, "://") {
		text = "https://" + text
	}
	text = strings.TrimRight(text, "/")
	return BaseURL(strings.TrimSuffix(text, "/api/v4"))
}

// SameGitLab reports whether two URLs name one GitLab: scheme, host, port (the
// scheme's default filled in) and path prefix equal. URLs that cannot be
// requested are the same as none.
func SameGitLab(a, b string) bool {
	ka, kb := serverKey(a), serverKey(b)
	return ka != "" && ka == kb
}

// serverKey is the comparable form of a GitLab's URL, "" when it is not one.
func serverKey(text string) string {
	u, err := parseBase(text)
	if err != nil {
		return ""
	}
	return originKey(u) + strings.TrimRight(u.Path, "/")
}

// originKey is scheme, host and port, comparable.
func originKey(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

func parseBase(text string) (*url.URL, error) {
	if problem := urlProblem(text); problem != "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "the URL %s", problem).WithHint("write it as https://gitlab.example.com")
	}
	u, err := url.Parse(strings.TrimSuffix(strings.TrimRight(text, "/"), "/ci"))
	switch {
	case err != nil:
		return nil, rekey.Errorf(rekey.KindInvalid, "the URL cannot be parsed").WithHint("write it as https://gitlab.example.com")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, rekey.Errorf(rekey.KindInvalid, "the URL has the scheme %q; only http and https work", u.Scheme)
	case u.Hostname() == "":
		return nil, rekey.Errorf(rekey.KindInvalid, "the URL names no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, rekey.Errorf(rekey.KindInvalid, "the URL holds a query or a fragment")
	}
	return u, nil
}

func urlProblem(text string) string {
	switch {
	case text == "":
		return "is empty"
	case strings.ContainsAny(text, " \t\r\n\u00a0\u200b\ufeff"):
		return "holds white space"
	case strings.ContainsAny(text, "\"'`“”‘’"):
		return "holds quotation marks"
	case strings.ContainsAny(text, "${}<>"):
		return "holds a placeholder that was never replaced"
	case !strings.Contains(text, "://"):
		return "has no scheme"
	}
	return ""
}
