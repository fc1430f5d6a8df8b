import{C as n,D as o}from"/assets/chunk-KGMPXENU.js";function c(){let{t:s}=n();return o("th",{scope:"col",children:o("span",{class:"visually-hidden",children:s("common.actions")})})}export{c as a};
