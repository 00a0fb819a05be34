package awssm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rekey"
	"rekey/internal/redact"
	"rekey/internal/secretstore"
)

// errScheduled marks a secret that is deleted and can be restored.
var errScheduled = errors.New("scheduled for deletion")

// fail words an error of the SDK; action is the IAM action without its service.
func fail(ref secretstore.Ref, what, action string, err error) error {
	name := fmt.Sprintf("%s %s", what, ref)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return unreachable(name, lost(action), err)
	}
	text := said(errors.New(api.ErrorMessage()))
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing) && strings.Contains(text, "VersionId"):
		return secretstore.NoVersion(ref, text)
	case errors.As(err, &missing):
		return secretstore.Missing(ref, text)
	case isScheduled(err):
		return &rekey.Error{Kind: rekey.KindNotFound, Msg: name + ": the secret is scheduled for deletion", Err: errScheduled,
			Hint: "bring it back with `aws secretsmanager restore-secret --secret-id " + ref.Name + "`, or write a new value with `rekey secret put " + ref.String() + "`"}
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied":
		return rekey.Errorf(rekey.KindDenied, "%s: AWS refuses: %s", name, text).
			WithHint(`the policy of this identity lacks: {"Effect": "Allow", "Action": "secretsmanager:%s", "Resource": "arn:aws:secretsmanager:%s:*:secret:%s-*"} (and kms:Decrypt, kms:GenerateDataKey for a key of your own)`, action, orStar(ref.Place), ref.Name)
	case "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "ExpiredToken", "InvalidSignatureException", "SignatureDoesNotMatch":
		return rekey.Errorf(rekey.KindDenied, "%s: AWS does not take the credentials: %s", name, text).WithHint("see who you are with `aws sts get-caller-identity`; log in again, or check the clock")
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "LimitExceededException":
		return rekey.Errorf(rekey.KindUnavailable, "%s: AWS limits the rate of requests", name).WithHint("try again later")
	case "DecryptionFailure", "EncryptionFailure":
		return rekey.Errorf(rekey.KindDenied, "%s: the KMS key of the secret cannot be used: %s", name, text).WithHint("allow kms:Decrypt and kms:GenerateDataKey on the key, and see that it is enabled")
	case "InvalidParameterException", "InvalidRequestException", "ValidationException":
		return rekey.Errorf(rekey.KindInvalid, "%s: AWS refused: %s", name, text)
	}
	return &rekey.Error{Kind: rekey.KindUnavailable, Msg: name + ": AWS failed: " + text, Hint: "try again later; see https://health.aws.amazon.com", Err: lost(action)}
}

// errLost marks a failure after which a write may have been made.
var errLost = errors.New("the answer was lost")

// lost is errLost for an action that writes, else nil.
func lost(action string) error {
	if strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") {
		return nil
	}
	return errLost
}

func isLost(err error) bool { return errors.Is(err, errLost) }

func unreachable(name string, cause, err error) error {
	var answered *smithyhttp.ResponseError
	var around *url.Error
	if errors.As(err, &around) {
		err = around.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &rekey.Error{Kind: rekey.KindUnavailable, Msg: name + ": interrupted", Err: cause}
	case errors.Is(err, context.DeadlineExceeded):
		return &rekey.Error{Kind: rekey.KindUnavailable, Msg: name + ": AWS did not answer in time", Hint: "try again later", Err: cause}
	case strings.Contains(err.Error(), "get credentials"), strings.Contains(err.Error(), "no EC2 IMDS role found"):
		return rekey.Errorf(rekey.KindDenied, "%s: there are no AWS credentials", name).WithHint("log in as for the aws command: `aws sts get-caller-identity` must answer (AWS_PROFILE, AWS_ACCESS_KEY_ID, a role of the machine)")
	case secretstore.NeverSent(err):
		return rekey.Errorf(rekey.KindUnavailable, "%s: AWS cannot be reached: %s", name, said(err)).WithHint("check the region, AWS_ENDPOINT_URL and the proxy")
	case errors.As(err, &answered) && answered.HTTPStatusCode() > 0 && answered.HTTPStatusCode() < 500:
		return rekey.Errorf(rekey.KindUnavailable, "%s: what answered is not Secrets Manager (%d)", name, answered.HTTPStatusCode()).WithHint("check AWS_ENDPOINT_URL and the region")
	}
	return &rekey.Error{Kind: rekey.KindUnavailable, Msg: name + ": AWS's answer was lost: " + said(err), Hint: "try again later; check AWS_ENDPOINT_URL if it is set", Err: cause}
}

func isScheduled(err error) bool {
	var invalid *types.InvalidRequestException
	return errors.As(err, &invalid) && (strings.Contains(err.Error(), "marked for deletion") || strings.Contains(err.Error(), "scheduled for deletion") || strings.Contains(err.Error(), "marked deleted") || strings.Contains(err.Error(), "currently marked"))
}

func orStar(region string) string {
	if region == "" {
		return "*"
	}
	return region
}

// said is one line of bounded length.
func said(err error) string {
	const most = 300
	line := redact.Scrub(strings.Join(strings.Fields(err.Error()), " "))
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
