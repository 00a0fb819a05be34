package lab

import (
	"cmp"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"rekey"
)

// found reads what the lab is, or founds a fresh one: version, profile,
// settings, the administrator and the instance registration token.
func (t *tx) found(o Options) error {
	stored, err := t.meta("version")
	if err != nil {
		return err
	}
	if stored == "" {
		err = t.foundFresh(o)
	} else {
		err = t.reopen(o, stored)
	}
	if err != nil {
		return err
	}
	loaded, err := t.loadSettings()
	if err != nil {
		return err
	}
	t.cachedSettings.Store(loaded)
	if err := t.cacheSwitches(); err != nil {
		return err
	}
	return t.ensureAdminToken(o.admin)
}

// cacheSwitches reads feature flags and plan limits into memory.
func (t *tx) cacheSwitches() error {
	set, err := t.loadFlags()
	if err != nil {
		return err
	}
	most, err := t.loadLimits()
	if err != nil {
		return err
	}
	t.cachedFlags.Store(&set)
	t.cachedLimits.Store(&most)
	return t.loadLongPolling()
}

func (t *tx) foundFresh(o Options) error {
	if o.Version.IsZero() {
		return rekey.Errorf(rekey.KindInvalid, "a new lab needs a version").WithHint("use --gitlab-version, for example 17.11")
	}
	t.version, t.profile = o.Version, o.Profile
	if t.profile == "" {
		t.profile = ProfileSelfManaged
		if featureAt(comRegistrationOff, t.version) {
			t.profile = ProfileCom
		}
	}
	if t.comSwitchedOff() {
		if err := t.storeSetting("allow_runner_registration_token", false); err != nil {
			return err
		}
	}
	if err := t.storeInstanceToken(newRegistrationToken()); err != nil {
		return err
	}
	if err := t.setMeta("revision", hex.EncodeToString(randomBytes(6))[:11]); err != nil {
		return err
	}
	if _, err := t.createUser(user{Username: "root", Name: "Administrator", Email: "admin@example.com", Admin: true}); err != nil {
		return err
	}
	return t.storeIdentity()
}

func (t *tx) reopen(o Options, stored string) error {
	version, err := rekey.ParseVersion(stored)
	if err != nil {
		return err
	}
	t.version = version
	if t.profile, err = t.meta("profile"); err != nil {
		return err
	}
	if !o.Version.IsZero() {
		if o.forward && older(o.Version, version) {
			return downgrade(version, o.Version)
		}
		t.version = o.Version
	}
	if o.Profile != "" {
		t.profile = o.Profile
	}
	if !featureAt(comRegistrationOff, version) && t.comSwitchedOff() {
		if err := t.switchComOff(); err != nil {
			return err
		}
	}
	return t.storeIdentity()
}

// switchComOff is GitLab.com's data migration at 17.0: every namespace that was
// there disallows registration tokens. Self-managed servers never had it.
func (t *tx) switchComOff() error {
	return errors.Join(t.storeSetting("allow_runner_registration_token", false), t.exec("UPDATE namespaces SET allow_registration_token = 0"))
}

func (t *tx) storeIdentity() error {
	return errors.Join(t.setMeta("version", t.version.String()), t.setMeta("profile", t.profile))
}

// comSwitchedOff reports whether new namespaces disallow registration tokens.
func (s *Server) comSwitchedOff() bool { return s.profile == ProfileCom && s.has(comRegistrationOff) }

// ensureAdminToken reads root's token back. Where there is none, the secrets were
// lost, or another is known to people, it makes one: of the value known, "" for a
// new one.
func (t *tx) ensureAdminToken(known string) error {
	box, err := t.meta("admin_token_sealed")
	if err != nil {
		return err
	}
	if raw, err := hex.DecodeString(box); err == nil && box != "" {
		if t.adminToken, err = t.secrets.opened(raw); err == nil && (known == "" || known == t.adminToken) {
			return nil
		}
	}
	t.adminToken = cmp.Or(known, newAccessToken())
	there, err := t.exists("SELECT 1 FROM access_tokens WHERE digest = ?", t.secrets.digest(domainAccess, t.adminToken))
	if err != nil {
		return err
	}
	if !there {
		all := list{"api", "read_api", "sudo", "admin_mode"}
		if _, err := t.createAccessToken(1, "lab administrator", all, "", t.adminToken); err != nil {
			return err
		}
	}
	return t.setMeta("admin_token_sealed", hex.EncodeToString(t.secrets.sealed(t.adminToken)))
}

// meta returns a stored word, "" for none.
func (t *tx) meta(key string) (string, error) {
	var value string
	err := t.value(&value, "SELECT value FROM meta WHERE key = ?", key)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func (t *tx) setMeta(key, value string) error {
	return t.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
}

// storeInstanceToken seals the instance registration token: it can be read
// again, and is looked up by opening it.
func (t *tx) storeInstanceToken(token string) error {
	return t.setMeta("registration_token_sealed", hex.EncodeToString(t.secrets.sealed(token)))
}

// instanceToken fails where it cannot be decrypted any more: what compares or shows
// it answers 500, until an administrator resets it.
func (t *tx) instanceToken() (string, error) {
	box, err := t.meta("registration_token_sealed")
	if err != nil {
		return "", err
	}
	raw, err := hex.DecodeString(box)
	if err != nil {
		return "", err
	}
	token, err := t.secrets.opened(raw)
	if err != nil {
		return "", fmt.Errorf("decrypt the instance registration token: %w", err)
	}
	return token, nil
}
