// A trace of a file: its head, its events, and the failure with its source files. WholeTrace({model, keys, commands, children}).

import { createFrameImage } from "components/frame_image.js";
import { html, useMemo, useRef } from "components/html.js";
import { SourceView } from "components/source_view.js";
import { TraceBrowser } from "components/trace_browser.js";
import { FailureView, TraceHeader } from "components/trace_header.js";
import { createView } from "components/view.js";

/** All of a trace. `keys` and `commands` are those of the page (`TraceBrowser`); children are buttons in the head. */
export function WholeTrace({ model, keys, commands, children }) {
  const { manifest } = model;
  const view = useMemo(() => createView(model.first, model.last), [model]);
  const FrameImage = useMemo(() => createFrameImage(model.images), [model]);
  const failureHeading = useRef(null);
  const hasSource = Boolean(manifest.failure) || model.sources.size > 0;

  const showFailure = ({ showPanel }) => {
    showPanel("source");
    requestAnimationFrame(() => {
      failureHeading.current?.focus();
      failureHeading.current?.scrollIntoView({ block: "nearest" });
    });
  };
  const head = ({ select, selectPending, showFailure: show }) => html`
    <${TraceHeader} model=${model} onFailure=${show} onFirstError=${() => select(model.firstError)} onPending=${selectPending}>${children}<//>
  `;
  const third = {
    label: manifest.failure ? "Failure" : "Source",
    title: "Failure and source",
    content: (event) => html`
      ${manifest.failure && html`<${FailureView} manifest=${manifest} heading=${failureHeading} />`}
      ${model.sources.size > 0 && html`<${SourceView} sources=${model.sources} failed=${manifest.failure?.source} selected=${event?.source} />`}
    `,
  };
  return html`
    <${TraceBrowser}
      model=${model} view=${view} FrameImage=${FrameImage} head=${head} third=${hasSource ? third : null} onFailure=${manifest.failure && showFailure}
      keys=${keys} commands=${commands} empty="The trace has no events."
    />
  `;
}
