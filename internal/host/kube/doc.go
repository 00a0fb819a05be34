// Package kube reads what runs gitlab-runner in a Kubernetes cluster: releases of
// the Helm chart, runners of the GitLab Runner Operator, and Deployments made by
// hand. A pod makes its config at each start from a template and a Secret, so what
// is read is the Secret, and the section that the pod makes of it is made here as
// well. The package owns how a release is recognised, which of its tokens counts,
// and how a denial is worded. It refuses to change anything: every request is a
// GET, nothing is run in a pod, and no value of a Secret leaves through an error.
package kube
