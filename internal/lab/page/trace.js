// Follows the log of a running job: asks for what came after the last byte seen.
"use strict";
(() => {
  const log = document.getElementById("trace");
  const status = document.getElementById("status");
  const following = document.getElementById("following");
  let from = Number(log.dataset.size);

  const show = (part) => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    if (part.from < from) log.textContent = ""; // the log was erased
    log.append(part.text);
    from = part.size;
    status.textContent = part.status.replaceAll("_", " ");
    status.className = "badge " + part.status;
    if (atEnd) log.scrollTop = log.scrollHeight;
  };

  const follow = async () => {
    let wait = 1000;
    try {
      const answer = await fetch(log.dataset.source + "?from=" + from, { redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      const part = await answer.json();
      show(part);
      if (!part.live) {
        location.reload(); // for the rest of what is known of a finished job
        return;
      }
      following.textContent = "follows the job";
    } catch {
      following.textContent = "the lab does not answer; trying again";
      wait = 5000;
    }
    setTimeout(follow, wait);
  };
  log.scrollTop = log.scrollHeight;
  follow();
})();
