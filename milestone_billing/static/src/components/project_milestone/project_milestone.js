import { ProjectMilestone } from "@project/components/project_right_side_panel/components/project_milestone";
import { useService } from "@web/core/utils/hooks";
import { patch } from "@web/core/utils/patch";

/** A billing milestone is reached when it is approved: a click opens it instead of ticking it. */
patch(ProjectMilestone.prototype, {
    setup() {
        super.setup();
        this.actionService = useService("action");
    },

    get approvalClass() {
        return {
            approved: "text-bg-success",
            submitted: "text-bg-warning",
            changes_requested: "text-bg-danger",
            in_progress: "text-bg-info",
            internal_review: "text-bg-info",
        }[this.milestone.billing_milestone_state] || "text-bg-secondary";
    },

    async toggleIsReached() {
        if (!this.milestone.is_billing_milestone) {
            return super.toggleIsReached();
        }
        return this.actionService.doActionButton({
            type: "object",
            resId: this.milestone.id,
            name: "action_view_billing_milestone",
            resModel: this.resModel,
        });
    },
});
