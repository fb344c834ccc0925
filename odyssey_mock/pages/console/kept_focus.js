// The focus of the keyboard after the control that had it has vanished, or was disabled.

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
/** Milliseconds after which a control that is disabled counts as gone. Most are disabled only during a request. */
const DISABLED_MS = 1000;

/**
 * Keep the focus near the place where it was; return a function that ends this.
 *
 * Browsers give the focus of a control that is removed or disabled to the whole page. The user of a keyboard would begin at the
 * top again. A control that is enabled again gets the focus back; in place of others, their neighbor gets it, or the heading of the view.
 */
export function keepFocus(root) {
  /** The control that had the focus last, and the elements around it, up to `root`. */
  let path = [];
  let timer = 0;
  let frame = 0;

  const isLost = () => path.length > 0 && (document.activeElement === document.body || document.activeElement === path[0]);
  const onFocus = ({ target }) => {
    clearTimeout(timer);
    timer = 0;
    path = [];
    for (let element = target; element && element !== root; element = element.parentElement) path.push(element);
  };
  /** Forget the control if it gave the focus away, such as a filter after Escape: it is still there, and not disabled. */
  const onBlur = ({ target }) => {
    // After the task that removes or disables the control.
    queueMicrotask(() => {
      if (path[0] === target && target.isConnected && !target.matches(":disabled")) path = [];
    });
  };
  const onPress = () => {
    path = [];
  };
  const focusFirst = (candidates) => {
    // In the next frame, because a view can have a better place for the focus.
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      if (document.activeElement !== document.body && document.activeElement !== path[0]) return;
      const found = candidates.map(firstFocusable).find(Boolean) ?? document.getElementById("view-title");
      found?.focus({ preventScroll: true });
    });
  };
  /** Return the elements around `element`, within the main part of the page. */
  const around = (element) => {
    const found = [];
    for (let each = element; each && each.localName !== "main" && each !== root; each = each.parentElement) found.push(each);
    return found;
  };
  const onChange = (records) => {
    if (!isLost()) return;
    const [control] = path;
    if (!control.isConnected) {
      for (const { target, removedNodes, nextSibling, previousSibling } of records) {
        if (target.isConnected && path.some((each) => each.parentElement === null && [...removedNodes].includes(each))) {
          focusFirst([nextSibling, previousSibling, ...around(target)]);
          return;
        }
      }
    } else if (!control.matches(":disabled")) {
      clearTimeout(timer);
      timer = 0;
      control.focus({ preventScroll: true });
    } else if (!timer) {
      timer = setTimeout(() => {
        timer = 0;
        if (isLost() && control.matches(":disabled")) focusFirst([control.nextElementSibling, control.previousElementSibling, ...around(control.parentElement)]);
      }, DISABLED_MS);
    }
  };

  const observer = new MutationObserver(onChange);
  observer.observe(root, { childList: true, subtree: true, attributeFilter: ["disabled"] });
  root.addEventListener("focusin", onFocus);
  root.addEventListener("focusout", onBlur);
  root.addEventListener("pointerdown", onPress, { capture: true });
  return () => {
    observer.disconnect();
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    root.removeEventListener("focusin", onFocus);
    root.removeEventListener("focusout", onBlur);
    root.removeEventListener("pointerdown", onPress, { capture: true });
  };
}

/** Return the first control in `node`, or `node` itself, that can have the focus; undefined if there is none. */
function firstFocusable(node) {
  if (!(node instanceof Element)) return undefined;
  return [node, ...node.querySelectorAll(FOCUSABLE)].find((each) => each.matches(FOCUSABLE) && each.tabIndex >= 0 && !each.matches(":disabled") && each.checkVisibility());
}
