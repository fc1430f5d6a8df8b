import{A as n,B as o}from"/assets/chunk-3HV3OSLY.js";function c(){let{t:s}=n();return o("th",{scope:"col",children:o("span",{class:"visually-hidden",children:s("common.actions")})})}export{c as a};
