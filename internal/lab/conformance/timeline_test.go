package conformance_test

import "rekey/internal/lab"

// timelineCases are section 8: what came when, as far as no other case shows it.
var timelineCases = []testCase{
	prove("8-user-runners", func(w *world) { w.want(w.create(nil), 201, "") }),
	prove("8-ip-deprecated", func(w *world) {
		_, isText := w.runner(w.Runner("instance", 0, nil).ID)["ip_address"].(string)
		w.true("a text", isText)
	}),
	prove("8-com-open-before", func(w *world) { w.want(w.register(nil), 201, "") }).on(lab.ProfileCom),
	prove("8-com-closed", func(w *world) { w.want(w.register(nil), 410, gone) }).beside("8-com-open-before").on(lab.ProfileCom),
	prove("8-self-managed-open 8-removal-cancelled", func(w *world) { w.want(w.register(nil), 201, "") }),
	prove("8-manage-runner", func(w *world) { w.person("manage_runner") }).elsewhere(func(w *world) { w.scopeUnknown("manage_runner") }),
	prove("8-self-rotate", func(w *world) { w.person("self_rotate") }).elsewhere(func(w *world) { w.scopeUnknown("self_rotate") }),
	prove("8-discovery", func(w *world) {
		w.want(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", "CANARY"), 403, forbidden)
	}).elsewhere(func(w *world) {
		w.want(w.send("GET", "runners/router/discovery", "", "", "Runner-Token", "CANARY"), 404, `{"error":"404 Not Found"}`)
	}),
	prove("8-labels", func(w *world) {
		w.want(w.poll(w.Runner("instance", 0, nil).Token, M{"info": M{"labels": M{"arch": "CANARY"}}}), 204, "")
	}),
}
