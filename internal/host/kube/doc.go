// Package kube reads what runs gitlab-runner in a Kubernetes cluster: releases of
// the Helm chart, runners of the GitLab Runner Operator, and Deployments made by
// hand. A pod makes its config at each start from a template and a Secret, so what
// is read is the Secret, and the section that the pod makes of it is made here as
// well. The package owns how a release is recognised, which of its tokens counts, who keeps
// it, and how a denial is worded. It changes two things and refuses every other: a
// Place gives one key of one Secret a new value, and rolls its Deployment out. All
// else is a GET, nothing is run in a pod, and no value of a Secret leaves through an
// error.
package kube
