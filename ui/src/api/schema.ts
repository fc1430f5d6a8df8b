// The types of the console's calls: made from openapi.json by `npm run api`.

export interface paths {
    "/console/api/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * This description
         * @description Needs a session with the role viewer.
         */
        get: operations["getOpenapiJson"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/account/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change one's own password; one's other sessions end
         * @description Needs a session with the role viewer.
         */
        put: operations["putAccountPassword"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/advise": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What the records advise, with figures, how sure they are, and the searches behind them
         * @description Needs a session with the role operator.
         */
        post: operations["postAdvise"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Rules and how they stand, incidents, channels
         * @description Needs a session with the role viewer.
         */
        get: operations["getAlerts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/{rule}/silence": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tell nothing of a rule for a while
         * @description Needs a session with the role operator.
         */
        post: operations["postAlertsRuleSilence"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/{rule}/unsilence": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tell of a rule again
         * @description Needs a session with the role operator.
         */
        post: operations["postAlertsRuleUnsilence"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/backtest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a rule would have told in the last days
         * @description Needs a session with the role operator.
         */
        post: operations["postAlertsBacktest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/channels/{channel}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a message that shows that a channel works
         * @description Needs a session with the role operator.
         */
        post: operations["postAlertsChannelsChannelTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/incidents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Incidents, the newest first
         * @description Needs a session with the role viewer.
         */
        get: operations["getAlertsIncidents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/incidents/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One incident
         * @description Needs a session with the role viewer.
         */
        get: operations["getAlertsIncidentsId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/incidents/{id}/acknowledge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Say that one looks after an incident
         * @description Needs a session with the role operator.
         */
        post: operations["postAlertsIncidentsIdAcknowledge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/objectives": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is left of each objective's budget
         * @description Needs a session with the role viewer.
         */
        get: operations["getAlertsObjectives"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/alerts/rules/{rule}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Save a rule, unless the configuration's file has one of its name
         * @description Needs a session with the role operator.
         */
        put: operations["putAlertsRulesRule"];
        post?: never;
        /**
         * Remove a saved rule
         * @description Needs a session with the role operator.
         */
        delete: operations["deleteAlertsRulesRule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/batches": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Batches of everybody, the newest first, and what is kept altogether
         * @description Needs a session with the role viewer.
         */
        get: operations["getBatches"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/batches/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a batch; what was answered stays
         * @description Needs a session with the role operator.
         */
        post: operations["postBatchesIdCancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the chat page is, and who may chat there */
        get: operations["getChat"];
        put?: never;
        /** Ask a model, keeping nothing, and watch the answer grow; whoever leaves cancels it */
        post: operations["postChat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chat/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The models that may be asked in a chat */
        get: operations["getChatModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chat/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Show a key, to chat with */
        post: operations["postChatSession"];
        /** Forget the key that was shown */
        delete: operations["deleteChatSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One's chats, the latest first */
        get: operations["getChats"];
        put?: never;
        /** Begin a chat */
        post: operations["postChats"];
        /** Remove all of one's chats */
        delete: operations["deleteChats"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chats/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A chat with its messages */
        get: operations["getChatsId"];
        /** Change what a chat is called and how it is asked */
        put: operations["putChatsId"];
        post?: never;
        /** Remove a chat */
        delete: operations["deleteChatsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chats/{id}/answers/{answer}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An answer as far as it is, then what is added */
        get: operations["getChatsIdAnswersAnswer"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chats/{id}/answers/{answer}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop an answer; the model is let go at once */
        post: operations["postChatsIdAnswersAnswerStop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/chats/{id}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask in a chat, or have a question answered again */
        post: operations["postChatsIdMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/dashboards": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Dashboards, by name
         * @description Needs a session with the role viewer.
         */
        get: operations["getDashboards"];
        put?: never;
        /**
         * Keep a dashboard
         * @description Needs a session with the role operator.
         */
        post: operations["postDashboards"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/dashboards/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change a dashboard
         * @description Needs a session with the role operator.
         */
        put: operations["putDashboardsId"];
        post?: never;
        /**
         * Remove a dashboard
         * @description Needs a session with the role operator.
         */
        delete: operations["deleteDashboardsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/dashboards/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a file of Kibana's saved objects would become; nothing is kept
         * @description Needs a session with the role operator.
         */
        post: operations["postDashboardsImport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/doctor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Look for what is wrong with this installation; nothing is changed
         * @description Needs a session with the role operator.
         */
        post: operations["postDoctor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/fields": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The fields that records have
         * @description Needs a session with the role viewer.
         */
        get: operations["getFields"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/forecast": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is to be expected of the next hours
         * @description Needs a session with the role viewer.
         */
        get: operations["getForecast"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Keys, without their secrets
         * @description Needs a session with the role admin.
         */
        get: operations["getKeys"];
        put?: never;
        /**
         * Make a key
         * @description Needs a session with the role admin.
         */
        post: operations["postKeys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/keys/{id}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke a key
         * @description Needs a session with the role admin.
         */
        post: operations["postKeysIdRevoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/keys/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give a key another secret
         * @description Needs a session with the role admin.
         */
        post: operations["postKeysIdRotate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/later": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Requests of everybody that are answered later, the newest first
         * @description Needs a session with the role viewer.
         */
        get: operations["getLater"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/later/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give up on a request that is answered later
         * @description Needs a session with the role operator.
         */
        post: operations["postLaterIdCancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The models that may be asked
         * @description Needs a session with the role viewer.
         */
        get: operations["getModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/probes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * All probes and what each found last
         * @description Needs a session with the role viewer.
         */
        get: operations["getProbes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/probes/{id}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a probe now
         * @description Needs a session with the role operator.
         */
        post: operations["postProbesIdRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/processes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Processes under supervision
         * @description Needs a session with the role viewer.
         */
        get: operations["getProcesses"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/processes/{name}/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let a process start that waits for a human
         * @description Needs a session with the role operator.
         */
        post: operations["postProcessesNameConfirm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/processes/{name}/restart": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Restart a process
         * @description Needs a session with the role operator.
         */
        post: operations["postProcessesNameRestart"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/processes/{name}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a process
         * @description Needs a session with the role operator.
         */
        post: operations["postProcessesNameStart"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/processes/{name}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Stop a process
         * @description Needs a session with the role operator.
         */
        post: operations["postProcessesNameStop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/reload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Read the configuration file again, and put it in force
         * @description Needs a session with the role admin.
         */
        post: operations["postReload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/requests/{id}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask a kept request once more, of another model
         * @description Needs a session with the role operator.
         */
        post: operations["postRequestsIdReplay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/requests/{id}/story": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Why a request went as it did
         * @description Needs a session with the role viewer.
         */
        get: operations["getRequestsIdStory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/saved": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Saved searches, by name
         * @description Needs a session with the role viewer.
         */
        get: operations["getSaved"];
        put?: never;
        /**
         * Save a search
         * @description Needs a session with the role operator.
         */
        post: operations["postSaved"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/saved/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change a saved search
         * @description Needs a session with the role operator.
         */
        put: operations["putSavedId"];
        post?: never;
        /**
         * Remove a saved search
         * @description Needs a session with the role operator.
         */
        delete: operations["deleteSavedId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Any search over the records, as `/es` answers it
         * @description Needs a session with the role viewer.
         */
        post: operations["postSearch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whose session it is, and what the pages know of the house
         * @description Needs a session with the role viewer.
         */
        get: operations["getSession"];
        put?: never;
        /** Open a session by a token, or by name and password */
        post: operations["postSession"];
        /**
         * End this session
         * @description Needs a session with the role viewer.
         */
        delete: operations["deleteSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/session/oidc": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begin to sign in at the provider: where the browser goes */
        post: operations["postSessionOidc"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One's own sessions, or those of everybody
         * @description Needs a session with the role viewer.
         */
        get: operations["getSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a session of one's own; an admin may end any
         * @description Needs a session with the role viewer.
         */
        delete: operations["deleteSessionsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/settings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The configuration: its file, and where each value comes from
         * @description Needs a session with the role admin.
         */
        get: operations["getSettings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/settings/apply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Write a text to the configuration file, and put it in force
         * @description Needs a session with the role admin.
         */
        post: operations["postSettingsApply"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/settings/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a text of the configuration would come to
         * @description Needs a session with the role admin.
         */
        post: operations["postSettingsCheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/settings/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Changes of the configuration, the newest first
         * @description Needs a session with the role admin.
         */
        get: operations["getSettingsHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/settings/history/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One change, with the text before and after
         * @description Needs a session with the role admin.
         */
        get: operations["getSettingsHistoryId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/sign-in": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** By what one can sign in */
        get: operations["getSignIn"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How the house is
         * @description Needs a session with the role viewer.
         */
        get: operations["getStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/stores": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What the house's stores take on their disks
         * @description Needs a session with the role viewer.
         */
        get: operations["getStores"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tasks, questions to humans, files that cannot be used, templates
         * @description Needs a session with the role viewer.
         */
        get: operations["getTasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/definitions/{task}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The text of a task's definition
         * @description Needs a session with the role viewer.
         */
        get: operations["getTasksDefinitionsTask"];
        /**
         * Save a definition and put it in force; runs that go on keep theirs
         * @description Needs a session with the role operator.
         */
        put: operations["putTasksDefinitionsTask"];
        post?: never;
        /**
         * Remove a definition; its runs stay
         * @description Needs a session with the role operator.
         */
        delete: operations["deleteTasksDefinitionsTask"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/definitions/{task}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What is wrong with the text of a definition
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksDefinitionsTaskCheck"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/definitions/{task}/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let the schedule of a task stand still
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksDefinitionsTaskHold"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/definitions/{task}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let the schedule of a task go on
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksDefinitionsTaskRelease"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/definitions/{task}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begin a run
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksDefinitionsTaskRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Runs of tasks, the newest first
         * @description Needs a session with the role viewer.
         */
        get: operations["getTasksRuns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A run with its steps, what went into them and came of them, and its history
         * @description Needs a session with the role viewer.
         */
        get: operations["getTasksRunsId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Say yes to what a run asks, with changes where there are some
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdApprove"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a run
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdCancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begin nothing further in a run
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdPause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/reject": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Say no to what a run asks
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdReject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go on with a paused run
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdResume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/tasks/runs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go on from an earlier step, or from where it failed, with changes where there are some
         * @description Needs a session with the role operator.
         */
        post: operations["postTasksRunsIdRetry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Users, by name
         * @description Needs a session with the role admin.
         */
        get: operations["getUsers"];
        put?: never;
        /**
         * Make a user
         * @description Needs a session with the role admin.
         */
        post: operations["postUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Remove a user; the user's sessions end
         * @description Needs a session with the role admin.
         */
        delete: operations["deleteUsersId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/users/{id}/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Give a user another password; the user's sessions end
         * @description Needs a session with the role admin.
         */
        put: operations["putUsersIdPassword"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/v1/users/{id}/role": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Give a user another role
         * @description Needs a session with the role admin.
         */
        put: operations["putUsersIdRole"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Acknowledged: {
            at: string;
            by: string;
        };
        /** @description What a question added to its chat. */
        Added: {
            /** @description As it begins. */
            answer: components["schemas"]["ChatMessage"];
            question: components["schemas"]["ChatMessage"] | null;
        };
        /** @description One piece of advice; ids and codes stand in docs/advise.md. */
        AdvicePiece: {
            advice: components["schemas"]["AdviceWord"];
            change: string | null;
            change_said: components["schemas"]["Said"][];
            code: string;
            figures: {
                [key: string]: unknown;
            };
            found: string;
            found_said: components["schemas"]["Said"][];
            id: string;
            /** @description The search behind it. */
            query: string;
            subject: string | null;
            /** @description How sure that is. */
            sure: string;
            sure_said: components["schemas"]["Said"][];
        };
        /** @description Which records are to be looked at. */
        AdviceWanted: {
            /**
             * Format: int32
             * @description Those of so many days, up to 90.
             */
            days: number;
        };
        /** @enum {string} */
        AdviceWord: "keep" | "unknown" | "change";
        /** @description What `tollhouse advise` says. */
        Advised: {
            advice: components["schemas"]["AdvicePiece"][];
            change_needed: boolean;
            /** @description The searches behind it, by their names. */
            queries: {
                [key: string]: unknown;
            };
        };
        /** @description Rules, incidents and channels, and how they stand. */
        AlertList: {
            at: string;
            channels: components["schemas"]["Channel"][];
            /** @description Open ones and the last that ended. */
            incidents: components["schemas"]["Incident"][];
            reports: components["schemas"]["Report"][];
            rules: components["schemas"]["AlertRule"][];
            silences: components["schemas"]["Silenced"][];
        };
        AlertRule: {
            baseline: string | null;
            built_in: boolean;
            cooldown: string;
            error: string | null;
            escalate: components["schemas"]["Escalate"] | null;
            for: string;
            group_by: string | null;
            groups: components["schemas"]["RuleGroup"][];
            /** @description The rule that is firing and for which this one waits. */
            held_by: string | null;
            limit: string;
            measured: string | null;
            name: string;
            needs: string[];
            notify: string[] | null;
            objective: components["schemas"]["ObjectiveGoal"] | null;
            on: boolean;
            /** @description `built-in`, `file` or `console`. */
            origin: string;
            query: string;
            quiet: components["schemas"]["Quiet"] | null;
            resolve: string | null;
            runbook: string | null;
            /** @description The same by a code, where it is what the rule says from the start. */
            runbook_said: components["schemas"]["Said"][];
            /** Format: int64 */
            samples: number;
            saved: components["schemas"]["SavedText"] | null;
            severity: string;
            silenced_until: string | null;
            state: components["schemas"]["RuleState"];
            within: string;
            /** @description The rule as it stands in the configuration, in one line. */
            yaml: string;
        };
        /** @description A question, or with neither text nor attachments the wish to have `parent` answered again. */
        Asked: {
            attachments?: components["schemas"]["Attachment"][];
            /** @description Another model than the chat's. */
            model?: string | null;
            /** @description The message that it follows; none at the beginning of a chat. */
            parent?: string | null;
            text?: string;
        };
        /** @description A picture or a file of text. */
        Attachment: {
            /** @description `data:image/png;base64,…` */
            image?: string | null;
            name: string;
            text?: string | null;
        };
        Attempt: {
            /** Format: int64 */
            number: number;
        };
        Backtest: {
            /** Format: int32 */
            days: number;
            name: string;
            rule?: string | null;
        };
        /** @description What a rule would have told. */
        BacktestResult: {
            /** Format: int32 */
            days: number;
            /** Format: int64 */
            fired: number;
            /** Format: int64 */
            looks: number;
            messages: components["schemas"]["ToldMessage"][];
            rule: string;
            yaml: string;
        };
        /** @description Something that is wrong with a batch's file. */
        BatchFault: {
            code: string;
            /**
             * Format: int64
             * @description Counted from 1.
             */
            line: number | null;
            message: string;
            param: string | null;
        };
        /** @description A page of batches. */
        BatchPage: {
            batches: components["schemas"]["ConsoleBatch"][];
            /** @description There are older ones. */
            has_more: boolean;
            /** @description Whether there are any: the configuration says `batches`. */
            on: boolean;
            use: components["schemas"]["BatchUse"] | null;
        };
        /**
         * @description How a batch stands, in the words of OpenAI's API.
         * @enum {string}
         */
        BatchStatus: "validating" | "failed" | "in_progress" | "finalizing" | "completed" | "expired" | "cancelling" | "cancelled";
        /** @description What is kept and under way, of everybody. */
        BatchUse: {
            /**
             * Format: int64
             * @description What is kept altogether, in bytes.
             */
            bytes: number;
            /**
             * Format: int64
             * @description How many bytes may be.
             */
            bytes_max: number;
            /**
             * Format: int64
             * @description Files.
             */
            files: number;
            /**
             * Format: int64
             * @description Requests that are answered later and have no answer yet.
             */
            later_open: number;
            /**
             * Format: int64
             * @description Batches that are not over.
             */
            open: number;
        };
        /** @description What was answered then. */
        Before: {
            /** @description Why the prompt is not what the model was asked then: `left_out`, `cut`, `redacted`, `withheld`, `media`. */
            differs: string[];
            model: string | null;
            text: string;
            thinking: string;
        };
        /** @description Where the browser goes on afterwards. */
        Begin: {
            /** @description A page of the console, such as `/discover?q=…`. */
            to?: string | null;
        };
        /**
         * @description Closed: requests pass. Open: they are refused. Held: they wait. Half open: one at a time passes.
         * @enum {string}
         */
        Breaker: "closed" | "half_open" | "held" | "open";
        ChangedPassword: {
            current: string;
            password: string;
        };
        /** @description Whom is told. */
        Channel: {
            kind: string;
            name: string;
            oldest: string | null;
            /**
             * Format: int64
             * @description Messages that could not be sent yet.
             */
            waiting: number;
        };
        /** @description Whether a channel took a message. */
        ChannelTest: {
            channel: string;
            error: string | null;
            kind: string;
            ok: boolean;
            /** @description Receivers that were refused. */
            refused: string[];
            /** @description Whether it would be tried again. */
            retryable: boolean;
        };
        /** @description A chat without its messages. */
        Chat: {
            /**
             * Format: int64
             * @description When something was said or set last.
             */
            changed_ms: number;
            /**
             * Format: int64
             * @description In milliseconds since 1970.
             */
            created_ms: number;
            /**
             * @description The last message of the branch that is shown.
             * @default null
             */
            head: string | null;
            /** @description Names it in addresses. */
            id: string;
            /**
             * @description Name of the model; empty means the usual one.
             * @default
             */
            model: string;
            /**
             * @description Parameters such as `temperature`.
             * @default {}
             */
            options: {
                [key: string]: unknown;
            };
            /**
             * @description What the model is told before everything else.
             * @default
             */
            system: string;
            /**
             * @description For people; empty until the first question gives one.
             * @default
             */
            title: string;
        };
        /** @description What the chat page is, and who may chat there. */
        ChatAbout: {
            description: string | null;
            /** @description Whether chats can be kept. */
            history: boolean;
            /** Format: int32 */
            keep_days: number;
            model: string | null;
            service: string;
            title: string | null;
            /** Format: int64 */
            unwatched_s: number;
            you: components["schemas"]["You"] | null;
        };
        /**
         * @description Open: no key is asked for.
         * @enum {string}
         */
        ChatBy: "session" | "key" | "open";
        /** @description One message of a chat. */
        ChatMessage: {
            /** @description Pictures and files. */
            attachments: unknown[];
            /**
             * Format: int64
             * @description In milliseconds since 1970.
             */
            created_ms: number;
            /** @description Names it in its chat and everywhere else. */
            id: string;
            /** @description The message before it. */
            parent: string | null;
            /** @description `user` or `assistant`. */
            role: string;
            /** @description `done`, `running`, `stopped` (by its reader), `left` (nobody watched), `failed` or `interrupted` (by the end of the house). */
            state: string;
            /** @description What was said. */
            text: string;
            /** @description What the model thought before. */
            thinking: string;
            /** @description What is known of an answer: model, tokens, times, what went wrong. */
            told: {
                [key: string]: unknown;
            };
        };
        ChatModel: {
            demo: boolean;
            name: string;
        };
        ChatModels: {
            models: components["schemas"]["ChatModel"][];
        };
        Chats: {
            chats: components["schemas"]["FoundChat"][];
        };
        /** @description What a chat is about and how it is asked. */
        ChatSettings: {
            /**
             * @description The last message of the branch that is shown.
             * @default null
             */
            head: string | null;
            /**
             * @description Name of the model; empty means the usual one.
             * @default
             */
            model: string;
            /**
             * @description Parameters such as `temperature`.
             * @default {}
             */
            options: {
                [key: string]: unknown;
            };
            /**
             * @description What the model is told before everything else.
             * @default
             */
            system: string;
            /**
             * @description For people; empty until the first question gives one.
             * @default
             */
            title: string;
        };
        /** @description One thing that was looked at; ids and codes stand in docs/doctor.md. */
        Check: {
            area: string;
            code: string;
            /** @description How it is mended. */
            fix: string | null;
            fix_said: components["schemas"]["Said"][];
            found: string;
            found_said: components["schemas"]["Said"][];
            id: string;
            looked: string;
            looked_said: components["schemas"]["Said"][];
            /** @description The command by which it is mended without harm. */
            repair: string | null;
            status: components["schemas"]["CheckStatus"];
            subject: string | null;
        };
        /** @enum {string} */
        CheckStatus: "skipped" | "ok" | "warn" | "fault";
        /** @enum {string} */
        Colour: "green" | "yellow" | "red" | "grey";
        /** @description A request as OpenAI's API takes it. */
        CompletionBody: {
            messages: {
                [key: string]: unknown;
            }[];
            model: string;
        };
        ConfiguredKey: {
            id: string;
            models: string[];
            user: string | null;
        };
        /** @description A batch as its overseer sees it. Times are in milliseconds since 1970. */
        ConsoleBatch: {
            /** Format: int64 */
            cancelling_ms: number | null;
            /**
             * Format: int64
             * @description Those that have their answer.
             */
            completed: number;
            /** @description As the client said it. */
            completion_window: string;
            /** Format: int64 */
            created_ms: number;
            /** Format: int64 */
            ended_ms: number | null;
            endpoint: string;
            error_file_id: string | null;
            /** @description Why it failed, by line. */
            errors: components["schemas"]["BatchFault"][];
            /**
             * Format: int64
             * @description When no further request of it is asked.
             */
            expires_ms: number;
            /**
             * Format: int64
             * @description Those that have an error in place of one.
             */
            failed: number;
            /** Format: int64 */
            finalizing_ms: number | null;
            id: string;
            /** Format: int64 */
            in_progress_ms: number | null;
            input_file_id: string;
            /** @description Nothing further becomes of it. */
            is_over: boolean;
            /** @description The key that made it; none where no key is asked for. */
            key_id: string | null;
            output_file_id: string | null;
            status: components["schemas"]["BatchStatus"];
            /**
             * Format: int64
             * @description Requests.
             */
            total: number;
            /** @description Whose requests they are: the user of that key, or its name. */
            user: string | null;
        };
        /** @description A request that is answered later, as its overseer sees it. Times are in milliseconds since 1970. */
        ConsoleLater: {
            /** @description By which API it came. */
            api: components["schemas"]["LaterApi"];
            /** Format: int64 */
            created_ms: number;
            /** Format: int64 */
            ended_ms: number | null;
            /**
             * Format: int64
             * @description Until when it is kept.
             */
            expires_ms: number;
            /** @description A webhook is told when it is over. */
            has_webhook: boolean;
            /**
             * Format: int32
             * @description What the gate answered with.
             */
            http_status: number | null;
            id: string;
            /** @description It has its answer, or gets none any more. */
            is_over: boolean;
            /** @description The key that asked; none where no key is asked for. */
            key_id: string | null;
            model: string;
            status: components["schemas"]["LaterStatus"];
            /** @description Whose request it is. */
            user: string | null;
        };
        /** @description What is looked at together. */
        Dashboard: {
            /** @description Begin of the time range that it opens with: date math on `now`, or RFC 3339; empty means the usual one. */
            from?: string;
            /** @description A name for people; no two have the same. */
            name: string;
            /** @description In the order in which they are read. */
            panels: components["schemas"]["Panel"][];
            /** @description Its end. */
            to?: string;
        };
        Dashboards: {
            dashboards: components["schemas"]["KeptDashboard"][];
        };
        DiffLine: {
            /** Format: int64 */
            after: number | null;
            /** Format: int64 */
            before: number | null;
            text: string;
            what: components["schemas"]["DiffWhat"];
        };
        /**
         * @description Gap: unchanged lines are left out.
         * @enum {string}
         */
        DiffWhat: "same" | "out" | "in" | "gap";
        Escalate: {
            after: string;
            notify: string[];
        };
        /** @description What is to be looked at. */
        Examination: {
            /** @description The four layers of the defence in place of the chart. */
            security?: boolean;
        };
        /** @description What `tollhouse doctor` finds. */
        Examined: {
            checks: components["schemas"]["Check"][];
            /** @description The worst of all. */
            status: components["schemas"]["CheckStatus"];
            /** Format: int64 */
            took_ms: number;
        };
        /** @enum {string} */
        Fate: "taken" | "changed" | "not taken";
        Fault: {
            /**
             * Format: int64
             * @description In characters, counted from 1.
             */
            column: number | null;
            expected: string | null;
            hint: string | null;
            /**
             * Format: int64
             * @description Counted from 1.
             */
            line: number | null;
            message: string;
            said: components["schemas"]["FaultSaid"] | null;
            /** Format: int64 */
            width: number | null;
        };
        /** @description What is said of a fault by codes. */
        FaultSaid: {
            expected: components["schemas"]["Said"] | null;
            hint: components["schemas"]["Said"] | null;
            /** @description The way to the value that it is about; empty for the whole file, nothing where `what` names it. */
            path: string | null;
            what: components["schemas"]["Said"];
        };
        /** @description A file that cannot be used; the definition of before stays in force. */
        FaultyTask: {
            /** @description All that is wrong with it. */
            error: string;
            /** @description The file. */
            file: string;
        };
        /** @description A field that records have. */
        Field: {
            name: string;
            /** @description As Elasticsearch calls it. */
            type: string;
        };
        Fields: {
            fields: components["schemas"]["Field"][];
        };
        Figure: {
            name: string;
            value: string;
        };
        /** @description What is to be expected of the next hours. */
        Forecast: {
            at: string | null;
            /**
             * Format: double
             * @description The share of hours that should lie between `low` and `high`.
             */
            interval: number | null;
            series: components["schemas"]["ForecastSeries"][];
            slots: components["schemas"]["Slots"] | null;
            step: string;
        };
        ForecastError: {
            /** Format: int64 */
            hours: number;
            measure: string;
            /** Format: double */
            model: number;
            /** Format: double */
            naive: number;
        };
        ForecastHour: {
            at: string;
            /** Format: double */
            value: number | null;
        };
        ForecastPeak: {
            at: string;
            /** Format: double */
            high: number;
            /** Format: double */
            value: number;
        };
        ForecastPoint: {
            at: string;
            /** Format: double */
            high: number;
            /** Format: double */
            low: number;
            /** Format: double */
            value: number;
        };
        ForecastSeries: {
            error: components["schemas"]["ForecastError"] | null;
            forecast: components["schemas"]["ForecastPoint"][];
            /** @description The last hours as they were. */
            history: components["schemas"]["ForecastHour"][];
            name: string;
            peak: components["schemas"]["ForecastPeak"] | null;
            /** @description The same by codes. */
            said: components["schemas"]["Said"][];
            /** @description False: too little is known, or a plain guess does better; then nothing is foretold. */
            told: boolean;
            unit: string;
            why: string;
        };
        /** @description A chat that was found, and where. */
        FoundChat: {
            /**
             * Format: int64
             * @description When something was said or set last.
             */
            changed_ms: number;
            /** @description Text around the words that were searched for; none where they stand in the title, or nothing was searched for. */
            excerpt: string | null;
            /** @description Names it in addresses. */
            id: string;
            /** @description Name of its model. */
            model: string;
            /** @description For people. */
            title: string;
        };
        /** @description An address for the browser to go to. */
        GoTo: {
            location: string;
        };
        Hit: {
            _id: string;
            _index: string;
        };
        Hits: {
            hits: components["schemas"]["Hit"][];
        };
        /** @enum {string} */
        HouseState: "ok" | "warn" | "fault";
        /** @description What a file of saved objects would become; nothing is kept yet. */
        Imported: {
            dashboards: components["schemas"]["Dashboard"][];
            notes: components["schemas"]["ImportNote"][];
        };
        /** @description What became of one object of the file. */
        ImportNote: {
            fate: components["schemas"]["Fate"];
            /** @description Kibana's word for what it is. */
            kind: string;
            /**
             * Format: int64
             * @description Its line, counted from 1.
             */
            line: number;
            name: string;
            /** @description Why. */
            text: string;
        };
        Incident: {
            acknowledged: components["schemas"]["Acknowledged"] | null;
            began: string;
            ended: string | null;
            escalated: string | null;
            figures: components["schemas"]["Figure"][] | null;
            groups: string[];
            id: string;
            link: string | null;
            rule: string;
            runbook: string | null;
            /** @description The same by a code, where it is what the rule says from the start. */
            runbook_said: components["schemas"]["Said"][];
            severity: string | null;
            state: components["schemas"]["IncidentState"];
            text: string | null;
            text_said: components["schemas"]["Said"][];
            timeline: components["schemas"]["IncidentMoment"][];
            title: string | null;
            title_said: components["schemas"]["Said"][];
            worst: string[] | null;
        };
        IncidentMoment: {
            at: string;
            said: components["schemas"]["Said"][];
            text: string;
        };
        Incidents: {
            /** @description The newest first. */
            incidents: components["schemas"]["Incident"][];
            /** @description Whether there are older ones. */
            more: boolean;
        };
        /** @enum {string} */
        IncidentState: "open" | "ended";
        IndexStatus: {
            /**
             * Format: int64
             * @description Number of the last record that is found by a search.
             */
            seq: number;
        };
        InForce: {
            from: components["schemas"]["SettingFrom"];
            /** Format: int64 */
            line: number | null;
            path: string;
            value: string;
            /** @description The variables of the environment that it is made of. */
            variables: string[];
        };
        /** @description An item of a step of a run. */
        ItemDetail: {
            /**
             * Format: int32
             * @description Attempts of this generation.
             */
            attempts: number;
            /**
             * Format: int64
             * @description When its last attempt began.
             */
            begun_ms?: number | null;
            /**
             * Format: int64
             * @description When it ended.
             */
            ended_ms?: number | null;
            /** @description Why its last attempt failed. */
            error?: string | null;
            /**
             * Format: int32
             * @description Its place in the list.
             */
            index?: number | null;
            /** @description Its effect may have come twice. */
            maybe_twice: boolean;
            /** @description The beginning of an answer that did not come to its end. */
            partial?: string | null;
            /** @description How far it is. */
            progress: components["schemas"]["StepProgress"];
            /** @description What came of it. */
            value?: unknown;
            /** @description What was done, with its templates filled in. */
            work?: Record<string, never> | null;
        };
        JournalStatus: {
            /** @description How the disk takes records. */
            disk: string;
            /**
             * Format: int64
             * @description Number of the last record.
             */
            seq: number;
        };
        /** @description A dashboard as it is kept. */
        KeptDashboard: {
            /**
             * Format: int64
             * @description When that was, in milliseconds since 1970.
             */
            changed_ms: number;
            /** @description Begin of the time range that it opens with: date math on `now`, or RFC 3339; empty means the usual one. */
            from: string;
            /** @description Names it in addresses. */
            id: string;
            /** @description A name for people; no two have the same. */
            name: string;
            /** @description Whoever changed it last. */
            owner: string;
            /** @description In the order in which they are read. */
            panels: components["schemas"]["Panel"][];
            /** @description Its end. */
            to: string;
        };
        Key: {
            allow: string[];
            /** Format: int32 */
            concurrent: number | null;
            created: string | null;
            expires: string | null;
            id: string;
            indices: string[];
            models: string[];
            name: string;
            old_secrets_until: (string | null)[];
            /** Format: int64 */
            per_ms: number | null;
            priority: string;
            /** Format: int64 */
            prompt_chars: number | null;
            /** Format: int32 */
            requests: number | null;
            revoked: string | null;
            role: string;
            state: string;
            /** Format: int64 */
            tokens: number | null;
            /** Format: int64 */
            tokens_per_day: number | null;
            /** Format: int64 */
            tokens_per_month: number | null;
            /** Format: int64 */
            tokens_per_ms: number | null;
            user: string | null;
            /** Format: int32 */
            weight: number;
        };
        Keys: {
            /** @description Those of the configuration file. */
            configured: components["schemas"]["ConfiguredKey"][];
            /** @description Those of the state store. */
            keys: components["schemas"]["Key"][];
        };
        /**
         * @description By which API it came.
         * @enum {string}
         */
        LaterApi: "chat" | "response";
        /** @description A page of requests that are answered later. */
        LaterPage: {
            /** @description There are older ones. */
            has_more: boolean;
            later: components["schemas"]["ConsoleLater"][];
            /** @description Whether there are any: the configuration says `batches`. */
            on: boolean;
        };
        /**
         * @description How it stands, in the words of OpenAI's API.
         * @enum {string}
         */
        LaterStatus: "queued" | "in_progress" | "completed" | "failed" | "cancelled";
        /** @enum {string} */
        Layer: "process" | "answer" | "quality" | "resource";
        LayerLight: {
            colour: components["schemas"]["Colour"];
            layer: components["schemas"]["Layer"];
            /** Format: int64 */
            probes: number;
            reason: string;
            said: components["schemas"]["Said"][];
            since: string | null;
        };
        Light: {
            colour: components["schemas"]["Colour"];
            layer: components["schemas"]["Layer"] | null;
            layers: components["schemas"]["LayerLight"][];
            reason: string;
            said: components["schemas"]["Said"][];
        };
        /** @description A record of another source. */
        Line: {
            /** @description By what it belongs to the request: `request_id`, `trace_id` or `time`. */
            by: string;
            level: string | null;
            msg: string | null;
            record: {
                [key: string]: unknown;
            };
            source: string | null;
            ts: string | null;
        };
        /** @description A key with its secret, this once. */
        MadeKey: {
            allow: string[];
            /** Format: int32 */
            concurrent: number | null;
            created: string | null;
            expires: string | null;
            id: string;
            indices: string[];
            /** @description The secret. */
            key: string;
            models: string[];
            name: string;
            old_secrets_until: (string | null)[];
            /** Format: int64 */
            per_ms: number | null;
            priority: string;
            /** Format: int64 */
            prompt_chars: number | null;
            /** Format: int32 */
            requests: number | null;
            revoked: string | null;
            role: string;
            state: string;
            /** Format: int64 */
            tokens: number | null;
            /** Format: int64 */
            tokens_per_day: number | null;
            /** Format: int64 */
            tokens_per_month: number | null;
            /** Format: int64 */
            tokens_per_ms: number | null;
            user: string | null;
            /** Format: int32 */
            weight: number;
        };
        Model: {
            demo: boolean;
            name: string;
            /** @description The model server that has it. */
            upstream: string;
        };
        Models: {
            models: components["schemas"]["Model"][];
        };
        /** @description A request at the same server at the same time. */
        Neighbour: {
            /** Format: double */
            duration_ms: number;
            model: string | null;
            request_id: string;
            /** Format: double */
            start_ms: number;
            upstream: string | null;
        };
        /** @description What a new key is to be; the same names as in the list. What is left out is not limited, or as usual. */
        NewKey: {
            allow?: string[];
            /** Format: int32 */
            concurrent?: number | null;
            /** @description RFC 3339. */
            expires?: string | null;
            indices?: string[];
            models?: string[];
            name: string;
            /** Format: int64 */
            per_ms?: number | null;
            priority?: string | null;
            prompt_chars?: number | null;
            /** Format: int32 */
            requests?: number | null;
            role?: string | null;
            /** Format: int64 */
            tokens?: number | null;
            /** Format: int64 */
            tokens_per_day?: number | null;
            /** Format: int64 */
            tokens_per_month?: number | null;
            /** Format: int64 */
            tokens_per_ms?: number | null;
            user?: string | null;
            /** Format: int32 */
            weight?: number | null;
        };
        NewPassword: {
            password: string;
        };
        NewRole: {
            role: components["schemas"]["Role"];
        };
        /** @description A new user. */
        NewUser: {
            name: string;
            password: string;
            role: components["schemas"]["Role"];
        };
        /** @description What is answered now. */
        Now: {
            /** Format: int64 */
            duration_ms: number;
            /** @description Why there is none, or not all of it. */
            error: string | null;
            /** Format: int64 */
            input_tokens: number | null;
            model: string;
            /** Format: int64 */
            output_tokens: number | null;
            request_id: string | null;
            text: string;
            thinking: string;
            /** Format: int64 */
            ttft_ms: number | null;
        };
        Objective: {
            bad: string;
            error: string | null;
            /** Format: double */
            goal: number;
            group_by: string | null;
            groups: components["schemas"]["Standing"][];
            over: string;
            query: string;
            rule: string;
        };
        ObjectiveGoal: {
            /** @description Which records are bad. */
            bad: string;
            /**
             * Format: double
             * @description Percent that have to be good.
             */
            goal: number;
            over: string;
        };
        /** @description What is left of each objective's budget. */
        Objectives: {
            at: string;
            objectives: components["schemas"]["Objective"][];
        };
        OidcWay: {
            /** @description What stands on the button. */
            name: string;
        };
        /** @description This description. */
        OpenApi: {
            components: {
                [key: string]: unknown;
            };
            openapi: string;
            paths: {
                [key: string]: unknown;
            };
        };
        /** @description By what the order was given. */
        OrderFrom: {
            from: components["schemas"]["OrderWay"];
        };
        /** @enum {string} */
        OrderWay: "command line";
        /**
         * @description Who knows a user.
         * @enum {string}
         */
        Origin: "house" | "oidc";
        /** @description One view of a search. */
        Panel: {
            /** @description The field of a heat map's columns. */
            across?: string;
            /** @description The field by whose values records are told apart: curves, rows of a table of groups or of a heat map. */
            by?: string;
            /** @description Fields of a table of records; empty means the usual ones. */
            columns?: string[];
            /** @description The field that is measured. */
            field?: string;
            /**
             * Format: int32
             * @description Rows of the grid.
             */
            height?: number;
            /**
             * Format: int32
             * @description Seconds that a point of a curve covers; 0 means as many as fit the range.
             */
            interval_s?: number;
            /** @description `lucene` or `kql`. */
            language?: string;
            /** @description `count`, or what is made of `field`: `avg`, `sum`, `min`, `max`, `p50`, `p95`, `p99`. */
            measure?: string;
            /** @description Whether remarkable points of a curve are marked. */
            peaks?: boolean;
            /** @description In the language beside it; may be empty. */
            query?: string;
            /** @description Id of a saved search whose records are shown; its query, language and kind stand in place of those below. */
            saved?: string;
            /** @description Kind of the records, such as `request` or `log`; empty means all. */
            scope?: string;
            /** @description `field:asc` or `field:desc`; empty means newest first. */
            sort?: string;
            /** @description A name for people. */
            title: string;
            /** @description `area`, `line`, `bars`, `table`, `heat`, `number`, or `searches` for the list of saved searches. */
            view: string;
            /**
             * Format: int32
             * @description Columns of the grid of 12.
             */
            width?: number;
        };
        Phase: {
            /** Format: double */
            duration_ms: number;
            name: string;
            /**
             * Format: double
             * @description From the begin of the request.
             */
            start_ms: number;
        };
        Probe: {
            about: string;
            /** Format: double */
            every_s: number;
            id: string;
            kind: string;
            last: components["schemas"]["ProbeResult"] | null;
            layer: components["schemas"]["Layer"];
            looks: components["schemas"]["Said"][];
            name: string;
            next: string | null;
            running: boolean;
            since: string | null;
        };
        ProbeBoard: {
            light: components["schemas"]["Light"] | null;
            probes: components["schemas"]["Probe"][];
            /** @description The latest samples of the machine. */
            resources: {
                [key: string]: unknown;
            }[];
        };
        ProbeResult: {
            at: string;
            /** Format: double */
            duration_ms: number | null;
            fields: {
                [key: string]: unknown;
            };
            found: string;
            outcome: string;
            said: components["schemas"]["Said"][];
        };
        /** @description A process under supervision. */
        Process: {
            asked: components["schemas"]["Why"] | null;
            command: string[];
            critical: boolean;
            /** Format: int64 */
            drain_ms: number;
            /** Format: int64 */
            memory_bytes: number | null;
            /** Format: int64 */
            memory_hard_bytes: number | null;
            /** Format: int64 */
            memory_soft_bytes: number | null;
            name: string;
            needs: string[];
            next_start: string | null;
            /** Format: int32 */
            pid: number | null;
            /**
             * Format: double
             * @description For how much of the last ten seconds programs around it waited for memory, in percent.
             */
            pressure: number | null;
            /** Format: int32 */
            pressure_limit: number | null;
            /** @description A sentence in English. */
            reason: string | null;
            since: string | null;
            /** Format: int64 */
            starts: number;
            state: components["schemas"]["ProcessState"];
            /** Format: int64 */
            stop_ms: number;
            upstreams: string[];
            why: components["schemas"]["Why"] | null;
        };
        Processes: {
            processes: components["schemas"]["Process"][];
        };
        /** @enum {string} */
        ProcessState: "stopped" | "waiting" | "starting" | "ready" | "draining" | "stopping" | "backoff" | "paused" | "failed";
        Quiet: {
            from: string;
            to: string;
            zone: string | null;
        };
        /** @description Why not. Calls that hand a request on answer in the form of whoever refuses it. */
        Refusal: {
            /** @description For people; an object in the forms of Elasticsearch and OpenAI. */
            error: string | Record<string, never>;
        };
        Reloaded: {
            /** @description The paths of what changed. */
            changed: string[];
        };
        Removed: {
            /** Format: int64 */
            removed: number;
        };
        /** @description A rule that is no longer saved. */
        RemovedRule: {
            rule: string;
        };
        /** @description What is to be asked. */
        Replay: {
            /** @description The model that is asked now. */
            model: string;
        };
        /** @description What both said. */
        Replayed: {
            before: components["schemas"]["Before"];
            now: components["schemas"]["Now"];
        };
        Report: {
            at: string;
            last: string | null;
            name: string;
            next: string | null;
            report: string;
            zone: string | null;
        };
        /** @description A change of the configuration file. */
        Revision: {
            /** Format: int64 */
            at_ms: number;
            by: string;
            changed: string[];
            client: string;
            /** Format: int64 */
            id: number;
            restart: string[];
            role: string;
        };
        Revisions: {
            revisions: components["schemas"]["Revision"][];
        };
        /**
         * @description What somebody may do in the console; each may do what the ones before it may.
         * @enum {string}
         */
        Role: "viewer" | "operator" | "admin";
        /** @description How a key is rotated. */
        Rotation: {
            /** @description How long the secret before stays valid, such as `24h` or `0s`. */
            overlap?: string | null;
        };
        RuleGroup: {
            /** @description Value of the field by which the rule groups; empty when it groups by none. */
            group: string;
            incident: string | null;
            last_told: string | null;
            shown: string | null;
            since: string | null;
            state: string;
            /** Format: double */
            usual: number | null;
            /** Format: double */
            value: number | null;
        };
        /** @enum {string} */
        RuleState: "calm" | "pending" | "firing" | "held" | "off" | "failing";
        RuleText: {
            /** @description The rule's settings as YAML, or `off`. */
            rule: string;
        };
        /** @description A run with everything that is known of it. */
        RunDetail: {
            /** @description Runs that it began. */
            children: string[];
            /** @description What happened, the oldest first. */
            history: Record<string, never>[];
            /** @description What it was given. */
            input: Record<string, never>;
            question?: components["schemas"]["TaskQuestion"] | null;
            /** @description Its steps in order, those of `on_failure` last. */
            steps: components["schemas"]["StepDetail"][];
            /** @description As it is listed. */
            summary: components["schemas"]["RunSummary"];
        };
        /** @description Runs, the newest first. */
        RunPage: {
            /** @description [`Filter::before`] of the next page, when there is one. */
            next?: string | null;
            /** @description The runs. */
            runs: components["schemas"]["RunSummary"][];
        };
        /**
         * @description The state of a run.
         * @enum {string}
         */
        RunStatus: "queued" | "running" | "waiting" | "asking" | "paused" | "done" | "failed" | "cancelled";
        /** @description A run as it is listed. Times are in milliseconds since 1970 UTC. */
        RunSummary: {
            /**
             * Format: int64
             * @description When it was put into the book.
             */
            created_ms: number;
            /**
             * Format: int64
             * @description When it ended.
             */
            ended_ms?: number | null;
            /** @description Why it failed or halted. */
            error?: string | null;
            /** @description Its name; later runs have larger ones. */
            id: string;
            /** @description The run that it is a part of. */
            parent?: string | null;
            /**
             * Format: int64
             * @description The time of the schedule that it belongs to.
             */
            scheduled_ms?: number | null;
            /**
             * Format: int64
             * @description When the first worker took it.
             */
            started_ms?: number | null;
            /** @description How it stands. */
            status: components["schemas"]["RunStatus"];
            /** @description The step that it is at. */
            step?: string | null;
            /**
             * Format: int32
             * @description How many steps it has.
             */
            steps: number;
            /**
             * Format: int32
             * @description How many steps are behind it.
             */
            steps_done: number;
            /** @description Its task. */
            task: string;
            /**
             * Format: int64
             * @description Tokens used.
             */
            tokens: number;
            /** @description The version of the task that it goes by. */
            version: string;
            /** @description What it waits for: `time`, `room: …`, `run …`. */
            waiting?: string | null;
            /**
             * Format: int64
             * @description When it is looked at again.
             */
            wake_ms?: number | null;
            /** @description Who began it; `schedule` for the scheduler. */
            who: string;
        };
        /** @description One thing that the house says, by a code that does not change, with its figures; the sentence beside it is in English. */
        Said: {
            code: string;
            /** @description What each is shows in the end of its name: `_percent`, `_bytes`, `_ms`, `_s`, else a count or a text. */
            figures: {
                [key: string]: unknown;
            };
        };
        /** @description A saved search as it is kept. */
        Saved: {
            /**
             * Format: int64
             * @description When that was, in milliseconds since 1970.
             */
            changed_ms: number;
            /** @description Fields that are shown; empty means the usual ones. */
            columns: string[];
            /** @description Begin of the time range: date math on `now`, or RFC 3339. */
            from: string;
            /** @description Names it in addresses. */
            id: string;
            /** @description `lucene` or `kql`. */
            language: string;
            /** @description A name for people; no two have the same. */
            name: string;
            /** @description Whoever saved it last. */
            owner: string;
            /** @description In the language beside it; may be empty. */
            query: string;
            /** @description Kind of the records, such as `request` or `log`; empty means all. */
            scope: string;
            /** @description `field:asc` or `field:desc`; empty means newest first. */
            sort: string;
            /** @description Its end. */
            to: string;
        };
        /** @description A rule that is saved and in force. */
        SavedRule: {
            rule: string;
            yaml: string;
        };
        /** @description What is searched for, and how it is shown. */
        SavedSearch: {
            /** @description Fields that are shown; empty means the usual ones. */
            columns?: string[];
            /** @description Begin of the time range: date math on `now`, or RFC 3339. */
            from: string;
            /** @description `lucene` or `kql`. */
            language: string;
            /** @description A name for people; no two have the same. */
            name: string;
            /** @description In the language beside it; may be empty. */
            query?: string;
            /** @description Kind of the records, such as `request` or `log`; empty means all. */
            scope?: string;
            /** @description `field:asc` or `field:desc`; empty means newest first. */
            sort?: string;
            /** @description Its end. */
            to: string;
        };
        SavedSearches: {
            saved: components["schemas"]["Saved"][];
        };
        /** @description What was saved of a rule in the console. */
        SavedText: {
            at: string;
            by: string;
            /** @description Why it is not in force. */
            problem: string | null;
            /** @description Its settings as YAML, or `off`. */
            text: string;
        };
        /** @description What Elasticsearch would answer. */
        SearchAnswer: {
            hits: components["schemas"]["Hits"];
            timed_out: boolean;
            /** Format: int64 */
            took: number;
        };
        /** @description A search in the language of Elasticsearch. */
        SearchBody: {
            aggs?: {
                [key: string]: unknown;
            } | null;
            query?: {
                [key: string]: unknown;
            } | null;
            /** Format: int64 */
            size?: number | null;
        };
        /**
         * @description A session that has not ended. Its role is that of its user at this moment; whoever came by a token is an admin, for only
         *     one can make it.
         */
        Session: {
            /** @description From which address it was opened. */
            address: string;
            /** @description What the browser called itself. */
            agent: string;
            /**
             * Format: int64
             * @description When it was opened, in milliseconds since 1970.
             */
            created_ms: number;
            /**
             * Format: int64
             * @description When it ends by itself.
             */
            expires_ms: number;
            /** @description Public id, by which it is ended. */
            id: string;
            /** @description What may be done in it. */
            role: components["schemas"]["Role"];
            /**
             * Format: int64
             * @description When it was used last, to the minute.
             */
            seen_ms: number;
            /** @description That user's name. */
            user: string | null;
            /** @description Whose it is; `None` when it was opened by a token. */
            user_id: string | null;
            /** @description How it was opened. */
            way: components["schemas"]["Way"];
        };
        /** @description What the page knows about the house once it is signed in. */
        SessionNow: {
            /** @description Whether one of the model servers is the built-in demo. */
            demo: boolean;
            id: string;
            public_url: string | null;
            role: components["schemas"]["Role"];
            service: string;
            /** @description The user's name; nothing where the session was opened by a token. */
            user: string | null;
            version: string;
            way: components["schemas"]["Way"];
        };
        Sessions: {
            sessions: components["schemas"]["Session"][];
        };
        /** @enum {string} */
        SettingFrom: "default" | "file" | "environment";
        SettingsApplied: {
            changed: string[];
            restart: string[];
            version: string;
        };
        /** @description A text to put in the place of another. */
        SettingsApply: {
            /** @description Whether to keep what needs a restart until there is one. */
            later?: boolean;
            text: string;
            version: string;
        };
        /** @description What a text would come to. */
        SettingsChecked: {
            /** @description Those of them that are changed in the file only. */
            barred: string[];
            changed: string[];
            diff: components["schemas"]["DiffLine"][];
            faults: components["schemas"]["Fault"][];
            /** @description Paths of masks that stand where the file has no secret. */
            missing: string[];
            /** @description Those of them that need a restart. */
            restart: string[];
        };
        /** @description A text to look at. */
        SettingsLook: {
            text: string;
        };
        /** @description The configuration: its file, and where each value in force comes from. */
        SettingsShown: {
            faults: components["schemas"]["Fault"][];
            /** @description Nothing: the house was started without one. */
            file: string | null;
            /** @description Why it cannot be changed here. */
            locked: string | null;
            /** @description What the file says differently from what is in force. */
            pending: string[];
            settings: components["schemas"]["InForce"][];
            /** @description With masks for secrets; nothing where it cannot be shown. */
            text: string | null;
            /** @description Tells one text of the file from another. */
            version: string;
        };
        /** @description What the form sends. */
        ShowKey: {
            key: string;
        };
        /** @description What the sign-in form sends. */
        SignIn: {
            token: string;
        } | {
            name: string;
            password: string;
        };
        /** @description By what one can sign in. */
        SignInWays: {
            oidc: components["schemas"]["OidcWay"] | null;
        };
        Silence: {
            for: string;
        };
        Silenced: {
            rule: string;
            until: string;
        };
        SilencedUntil: {
            rule: string;
            /** @description Nothing: it is told again. */
            silenced_until: string | null;
        };
        /** @description Whether the places of the model servers will do. */
        Slots: {
            peak_at: string;
            /** Format: int64 */
            places: number;
            /** Format: double */
            served_per_hour: number;
            /** Format: double */
            share: number;
            text: string;
        };
        Standing: {
            /** Format: int64 */
            all: number;
            /** Format: int64 */
            bad: number;
            group: string;
            /**
             * Format: double
             * @description The share of the budget that is left; below zero when more is gone.
             */
            left: number;
            /** @description How many times too fast it goes, over an hour, six hours and three days. */
            rates: (number | null)[];
        };
        /** @description How the house is. */
        Status: {
            index: components["schemas"]["IndexStatus"];
            journal: components["schemas"]["JournalStatus"];
            /** @description Where limits are counted: `local`, `shared`, or `away` while the shared place is. */
            limits: string;
            reason: string;
            said: components["schemas"]["Said"][];
            status: components["schemas"]["HouseState"];
            upstreams: components["schemas"]["Upstream"][];
            /** Format: int64 */
            uptime_s: number;
            version: string;
        };
        /** @description A step of a run. */
        StepDetail: {
            /** @description Its list. */
            each?: string | null;
            /** @description Its items; one without `index` where it has no `each`; none before it is begun. */
            items: components["schemas"]["ItemDetail"][];
            /** @description What it does. */
            kind: components["schemas"]["StepKind"];
            /** @description Its name. */
            name: string;
            /** @description Whether it belongs to `on_failure`. */
            on_failure: boolean;
            /** @description How far it is. */
            progress: components["schemas"]["StepProgress"];
            /** @description What later steps know it by. */
            value?: unknown;
            /** @description Its condition. */
            when?: string | null;
        };
        /**
         * @description The kinds of work.
         * @enum {string}
         */
        StepKind: "ask" | "collect" | "run" | "write" | "send" | "approve" | "wait" | "task";
        /**
         * @description How far a step is.
         * @enum {string}
         */
        StepProgress: "open" | "doing" | "waiting" | "asking" | "done" | "skipped" | "failed";
        /** @description A step of a definition. */
        StepSummary: {
            /** @description Its list. */
            each?: string | null;
            /** @description What it does. */
            kind: components["schemas"]["StepKind"];
            /** @description Its name. */
            name: string;
            /** @description Whether it belongs to `on_failure`. */
            on_failure: boolean;
            /** @description Its condition. */
            when?: string | null;
        };
        Store: {
            /** Format: int64 */
            bytes: number;
            /** @description There is more than was looked at. */
            cut: boolean;
            /** @description The id of its disk. */
            disk: string | null;
            /** Format: int64 */
            files: number;
            /** Format: int64 */
            limit_bytes: number | null;
            /**
             * Format: double
             * @description In how many days its budget is used up, if it grows on as it did.
             */
            limit_in_days: number | null;
            name: string;
            path: string;
        };
        StoreDisk: {
            /** @description Whether that is free. */
            fits: boolean;
            /** Format: int64 */
            free_bytes: number;
            /** Format: double */
            full_in_days: number | null;
            id: string;
            /**
             * Format: int64
             * @description What their budgets still allow.
             */
            may_grow_bytes: number;
            /**
             * Format: int64
             * @description What all stores on it take.
             */
            store_bytes: number;
            /** Format: int64 */
            total_bytes: number;
        };
        /** @description What the house's stores take on their disks, as measured last. */
        Stores: {
            at: string | null;
            disks: components["schemas"]["StoreDisk"][];
            stores: components["schemas"]["Store"][];
        };
        /** @description The story of one request over all sources. */
        Story: {
            attempts: components["schemas"]["Attempt"][];
            /** @description What else happened meanwhile. */
            events: {
                [key: string]: unknown;
            }[];
            /** @description Whether any record names it. */
            found: boolean;
            /** @description Lines of other sources that belong to it. */
            lines: components["schemas"]["Line"][];
            /** @description Whether there are more lines than these. */
            lines_cut: boolean;
            neighbours: components["schemas"]["Neighbour"][];
            phases: components["schemas"]["Phase"][];
            /** @description The searches whose answers all this is, as `/es` takes them: `records`, `lines`, `neighbours`, `events`, `before`, `loaded`. */
            queries: {
                [key: string]: unknown;
            };
            records: {
                [key: string]: unknown;
            }[];
            request_id: string;
            /** @description What was around it at its model server. */
            resources: {
                [key: string]: unknown;
            };
            verdict: components["schemas"]["Verdict"] | null;
        };
        /** @description An answer to a question. */
        TaskAnswer: {
            /**
             * @description What one has to say.
             * @default
             */
            comment: string;
            /** @default {} */
            edits: components["schemas"]["TaskEdits"];
            /**
             * Format: int64
             * @description Which question is meant; refused when another is asked by now.
             * @default null
             */
            number: number | null;
        };
        /** @description A run that was begun. */
        TaskBegun: {
            id: string;
        };
        /** @description All tasks. */
        TaskBoard: {
            /** @description The folder of the definitions. */
            dir: string | null;
            faulty: components["schemas"]["FaultyTask"][];
            /** @description Whether there are any: the configuration says `tasks`. */
            on: boolean;
            /** @description What humans are asked. */
            questions: components["schemas"]["TaskQuestion"][];
            tasks: components["schemas"]["TaskSummary"][];
            templates: components["schemas"]["TaskTemplate"][];
        };
        /** @description What a text would be. */
        TaskCheck: {
            faults: components["schemas"]["TaskFault"][];
            steps: components["schemas"]["StepSummary"][];
        };
        /** @description A text for a definition. */
        TaskEdit: {
            text: string;
            /** @description The version that was changed; refused when the file is another by now. */
            version?: string | null;
        };
        /** @description What a human changed. */
        TaskEdits: {
            /** @description Values of steps, by name: what later steps see in place of what was there. */
            values?: Record<string, never>;
            /** @description Keys of the step that is done again, such as `prompt`: what is done in place of what its template gives. */
            work?: Record<string, never>;
        };
        /** @description Something that is wrong with the text of a task. */
        TaskFault: {
            column: number | null;
            expected: string | null;
            hint: string | null;
            line: number | null;
            message: string;
            said: components["schemas"]["FaultSaid"] | null;
            width: number | null;
        };
        /** @description What a run is given. */
        TaskOrder: {
            input?: Record<string, never>;
        };
        /** @description What a human is asked. */
        TaskQuestion: {
            /** @description Who may answer; empty for everybody who may approve tasks. */
            by: string[];
            /**
             * Format: int64
             * @description When it answers itself.
             */
            expires_ms?: number | null;
            /**
             * Format: int64
             * @description Changes with each question, so that a link answers the question it was made for and no later one.
             */
            number: number;
            /** @description The run. */
            run: string;
            /**
             * Format: int64
             * @description Since when.
             */
            since_ms: number;
            /** @description The step. */
            step: string;
            /** @description Its task. */
            task: string;
            /** @description What is asked. */
            text: string;
            /** @description `approve` for a step that asks, or what is odd: `error`, `check`, `cost`, `far`, `doubt`. */
            why: string;
        };
        /** @description From where a run goes on. */
        TaskRetry: {
            /** @default {} */
            edits: components["schemas"]["TaskEdits"];
            /**
             * @description The step; the one at which it failed when absent.
             * @default null
             */
            step: string | null;
        };
        /** @description A task as it is listed. */
        TaskSummary: {
            /** @description Whether it asks a human when something is odd. */
            critical: boolean;
            /** @description Whether its schedule is held. */
            is_held: boolean;
            last_run?: components["schemas"]["RunSummary"] | null;
            /** @description Its name. */
            name: string;
            /**
             * Format: int64
             * @description When it runs next, in milliseconds since 1970 UTC.
             */
            next_ms?: number | null;
            /** @description Its schedule, as it is written. */
            schedule?: string | null;
            /** @description Its steps in order. */
            steps: components["schemas"]["StepSummary"][];
            /** @description Its title. */
            title?: string | null;
            /** @description The version in force. */
            version: string;
        };
        /** @description A definition to begin with. */
        TaskTemplate: {
            /** @description Its name. */
            name: string;
            /** @description The file. */
            text: string;
            /** @description What it does, in one line. */
            title: string;
        };
        /** @description A definition. */
        TaskText: {
            /** @description Whether new runs go by it. */
            is_in_force: boolean;
            task: string;
            text: string;
            /** @description Made of its text. */
            version: string;
        };
        ToldMessage: {
            at: string;
            /** @description Each group with what was measured of it. */
            groups: unknown[][];
            state: string;
        };
        /** @description A model server. */
        Upstream: {
            breaker: components["schemas"]["Breaker"];
            /** @description `ollama`, `openai`, `anthropic` or `demo`. */
            kind: string;
            /** Format: int64 */
            load_ms_total: number;
            /** @description Models that it has loaded, as far as is known. */
            loaded: string[];
            /**
             * Format: int64
             * @description How often it has loaded one for a request.
             */
            loads: number;
            name: string;
            /**
             * Format: int32
             * @description How many requests it is given at once.
             */
            parallel: number;
            /** @description Why the breaker is not closed. */
            reason: string | null;
            /** Format: int32 */
            running: number;
            /** @description Whether it changes from one model to another all the time. */
            thrashing: boolean;
            /** Format: int32 */
            waiting: number;
        };
        /** @description A user as it is kept, without the password. */
        User: {
            /**
             * Format: int64
             * @description When the user was made, in milliseconds since 1970.
             */
            created_ms: number;
            /** @description Names the user in addresses; stays when the name changes. */
            id: string;
            /** @description The name with which the user signs in. */
            name: string;
            /** @description Who says so, and asks for a password. */
            origin: components["schemas"]["Origin"];
            /** @description What the user may do. */
            role: components["schemas"]["Role"];
            /**
             * Format: int64
             * @description When the user signed in last.
             */
            signed_in_ms: number | null;
        };
        Users: {
            users: components["schemas"]["User"][];
        };
        /** @description Why it went as it did. */
        Verdict: {
            cause: string;
            /** Format: double */
            confidence: number;
            rule: string;
            /** @description The rule's name, which stays the same. */
            rule_name: string;
            text: string;
        };
        /**
         * @description How whoever has a session showed who they are.
         * @enum {string}
         */
        Way: "token" | "password" | "oidc";
        /** @description A chat with all its messages. */
        WholeChat: {
            /**
             * Format: int64
             * @description When something was said or set last.
             */
            changed_ms: number;
            /**
             * Format: int64
             * @description In milliseconds since 1970.
             */
            created_ms: number;
            /**
             * @description The last message of the branch that is shown.
             * @default null
             */
            head: string | null;
            /** @description Names it in addresses. */
            id: string;
            messages: components["schemas"]["ChatMessage"][];
            /**
             * @description Name of the model; empty means the usual one.
             * @default
             */
            model: string;
            /**
             * @description Parameters such as `temperature`.
             * @default {}
             */
            options: {
                [key: string]: unknown;
            };
            /**
             * @description What the model is told before everything else.
             * @default
             */
            system: string;
            /**
             * @description For people; empty until the first question gives one.
             * @default
             */
            title: string;
        };
        /** @description With the texts, masks standing for secrets. */
        WholeRevision: {
            after: string;
            /** Format: int64 */
            at_ms: number;
            before: string;
            by: string;
            changed: string[];
            client: string;
            diff: components["schemas"]["DiffLine"][];
            /** Format: int64 */
            id: number;
            restart: string[];
            role: string;
        };
        /** @description Why a process is where it is: a word that does not change, with the figures that belong to it. */
        Why: {
            /** Format: int64 */
            bytes?: number | null;
            code: string;
            error?: string | null;
            /** Format: int32 */
            exit?: number | null;
            /** Format: int64 */
            limit_bytes?: number | null;
            /** Format: int32 */
            limit_percent?: number | null;
            /** Format: int64 */
            ms?: number | null;
            /** Format: int32 */
            percent?: number | null;
            place?: string | null;
            /** Format: int32 */
            signal?: number | null;
            /** Format: int32 */
            times?: number | null;
        };
        You: {
            by: components["schemas"]["ChatBy"];
            name: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getOpenapiJson: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenApi"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putAccountPassword: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangedPassword"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description too many; the header `Retry-After` says when again */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAdvise: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AdviceWanted"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Advised"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getAlerts: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertList"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAlertsRuleSilence: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                rule: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Silence"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SilencedUntil"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAlertsRuleUnsilence: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                rule: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SilencedUntil"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAlertsBacktest: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Backtest"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BacktestResult"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAlertsChannelsChannelTest: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChannelTest"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getAlertsIncidents: {
        parameters: {
            query?: {
                /** @description only those that began before this moment (RFC 3339) */
                before?: string;
                /** @description how many, up to 200 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Incidents"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getAlertsIncidentsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Incident"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postAlertsIncidentsIdAcknowledge: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Incident"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getAlertsObjectives: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Objectives"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putAlertsRulesRule: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                rule: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RuleText"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedRule"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteAlertsRulesRule: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                rule: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RemovedRule"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getBatches: {
        parameters: {
            query?: {
                /** @description older than this batch */
                after?: string;
                /** @description how many, up to 200 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BatchPage"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postBatchesIdCancel: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConsoleBatch"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getChat: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatAbout"];
                };
            };
        };
    };
    postChat: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CompletionBody"];
            };
        };
        responses: {
            /** @description events, each with a JSON object */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is too large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description too many; the header `Retry-After` says when again */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getChatModels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatModels"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postChatSession: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ShowKey"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteChatSession: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getChats: {
        parameters: {
            query?: {
                /** @description only those in whose title or messages these words stand */
                q?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chats"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postChats: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChatSettings"];
            };
        };
        responses: {
            /** @description it is kept */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteChats: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Removed"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getChatsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WholeChat"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putChatsId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChatSettings"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteChatsId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getChatsIdAnswersAnswer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                answer: string;
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description events, each with a JSON object */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postChatsIdAnswersAnswerStop: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                answer: string;
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postChatsIdMessages: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Asked"];
            };
        };
        responses: {
            /** @description the answer is being written */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is too large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description too many; the header `Retry-After` says when again */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getDashboards: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Dashboards"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postDashboards: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Dashboard"];
            };
        };
        responses: {
            /** @description it is kept */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeptDashboard"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putDashboardsId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Dashboard"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeptDashboard"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteDashboardsId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postDashboardsImport: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-ndjson": string;
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Imported"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postDoctor: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Examination"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Examined"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getFields: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Fields"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getForecast: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Forecast"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Keys"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postKeys: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewKey"];
            };
        };
        responses: {
            /** @description it is in force */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MadeKey"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postKeysIdRevoke: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postKeysIdRotate: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Rotation"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MadeKey"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getLater: {
        parameters: {
            query?: {
                /** @description older than this request */
                after?: string;
                /** @description how many, up to 200 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LaterPage"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postLaterIdCancel: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConsoleLater"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getModels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Models"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getProbes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProbeBoard"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postProbesIdRun: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Probe"];
                };
            };
            /** @description its run goes on */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Probe"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getProcesses: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Processes"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postProcessesNameConfirm: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["OrderFrom"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Process"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postProcessesNameRestart: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["OrderFrom"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Process"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postProcessesNameStart: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["OrderFrom"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Process"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postProcessesNameStop: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["OrderFrom"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Process"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postReload: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Reloaded"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postRequestsIdReplay: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Replay"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Replayed"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getRequestsIdStory: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Story"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSaved: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedSearches"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSaved: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SavedSearch"];
            };
        };
        responses: {
            /** @description it is kept */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Saved"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putSavedId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SavedSearch"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Saved"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteSavedId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSearch: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SearchBody"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchAnswer"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description too many; the header `Retry-After` says when again */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionNow"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSession: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignIn"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description too many; the header `Retry-After` says when again */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteSession: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description it has ended; the browser goes there to sign out at the provider, too */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GoTo"];
                };
            };
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSessionOidc: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Begin"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GoTo"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description whoever is asked for this does not answer as it should */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSessions: {
        parameters: {
            query?: {
                /** @description `all`: those of everybody (admin) */
                of?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sessions"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteSessionsId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSettings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SettingsShown"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSettingsApply: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SettingsApply"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SettingsApplied"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postSettingsCheck: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SettingsLook"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SettingsChecked"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSettingsHistory: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Revisions"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSettingsHistoryId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WholeRevision"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getSignIn: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignInWays"];
                };
            };
        };
    };
    getStatus: {
        parameters: {
            query?: {
                /** @description answer when records behind this number can be found, or else after two seconds */
                beyond?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getStores: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Stores"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getTasks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskBoard"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getTasksDefinitionsTask: {
        parameters: {
            query?: {
                /** @description the one that a run went by; the one in force when absent */
                version?: string;
            };
            header?: never;
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskText"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putTasksDefinitionsTask: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskEdit"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskText"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteTasksDefinitionsTask: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksDefinitionsTaskCheck: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskEdit"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCheck"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksDefinitionsTaskHold: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskSummary"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksDefinitionsTaskRelease: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskSummary"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksDefinitionsTaskRun: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                task: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskOrder"];
            };
        };
        responses: {
            /** @description it is in the book */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskBegun"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getTasksRuns: {
        parameters: {
            query?: {
                /** @description older than this run: the `next` of the page before */
                before?: string;
                /** @description how many, up to 500 */
                limit?: string;
                /** @description in this state only */
                status?: string;
                /** @description of this task only */
                task?: string;
                /** @description with this text in the run's name, task, step or error */
                text?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunPage"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getTasksRunsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdApprove: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskAnswer"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdCancel: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdPause: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdReject: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskAnswer"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdResume: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postTasksRunsIdRetry: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskRetry"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDetail"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    getUsers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Users"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    postUsers: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewUser"];
            };
        };
        responses: {
            /** @description it is there */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    deleteUsersId: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putUsersIdPassword: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPassword"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    putUsersIdRole: {
        parameters: {
            query?: never;
            header: {
                /** @description Anything: other sites cannot send it. */
                "x-tollhouse-console": string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRole"];
            };
        };
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description it makes no sense; the message says what */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description nobody is signed in */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it is not allowed: by the role, or because it does not come from the console itself */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description there is none of this id */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it does not fit what there is */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
            /** @description it cannot be done right now */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
}
